"""What the tasks do when they run: a module for each family, which listing and planning do not load (later.py)."""
