"""Source files: lookup of names in configs, choice of weights, downloads, and rendered scenes as pictures.

Everything that comes in is pinned or checked. Nothing here writes into the repository.
"""
