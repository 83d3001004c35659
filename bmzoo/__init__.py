"""bmzoo builds a zoo of verified BModels for Sophgo TPUs from one YAML file per model."""

__version__ = "0.1.0"
