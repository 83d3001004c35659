"""Metrics of the field, one module for each; `registry` lists them."""
