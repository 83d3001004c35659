"""Trying settings of INT8 one axis at a time: which there are, which to take, and how to show them."""
