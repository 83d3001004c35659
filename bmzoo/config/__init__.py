"""Parsing and validation of the YAML files in `configs/`: model configs, and project-wide settings.

Configs are typed and validated here, once. Nothing here plans a step or looks at pictures.
"""
