"""Running steps on this machine: inputs resolved to digests, TPU-MLIR started, results put into the store.

What to run comes from `plan`; what users see of it is made in `results`.
"""
