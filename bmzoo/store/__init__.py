"""The cache of step results, keyed by fingerprint: local in `build/store`, and remote, shared with other checkouts.

Entries are published atomically and verified when they are read. Knows nothing of what a step does.
"""
