"""The task graph: doit's dictionaries, their table, one module for each family of tasks, and the progress of a run.

The only package that knows doit. A task ties names to functions of `results`, `release`, `tuning` and `explain`.
To add one: a function in the module of its family, and a row in registry.py.
"""
