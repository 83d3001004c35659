"""Files from outside: where a name in a config is found, which weights are used, downloads, drawn scenes as
pictures.

Everything that comes in is pinned or checked. Nothing here writes into the repository.
"""
