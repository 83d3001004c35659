"""Operating system and plain file formats: processes, atomic writes, hashing, text.

Knows nothing of models, steps or stores. The only package that starts processes for the rest of bmzoo.
"""
