"""What the YAML files in `configs/` may say, read and checked: one model's config, and the whole project's
settings.

Everything past this package is typed and checked. Nothing here plans a step or looks at pictures.
"""
