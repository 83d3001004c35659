"""Explains what would be rebuilt and why: which inputs of a step changed since its last result. Runs nothing."""
