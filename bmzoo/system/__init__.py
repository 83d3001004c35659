"""What the operating system and plain file formats need: processes, files put in place whole, hashes, text.

Knows nothing of models, steps or stores. The only package that starts a process for the rest of bmzoo.
"""
