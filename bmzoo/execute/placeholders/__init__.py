"""Modules that TPU-MLIR imports and ordinary models never need.

Each lies in a folder of its own, put on the PYTHONPATH of a compiler step only while the real package is not
installed. The folders are packages so that type checkers do not take these files for the real modules.
"""
