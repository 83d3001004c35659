"""The task graph: doit's dictionaries, their table, one module for each family of tasks, and the progress of a run.

The only package that knows doit. A task ties names to functions of `results`, `release`, `tuning` and `explain`,
which are loaded when it runs: dictionaries name them with `later`, and what there is in between is in `actions`.
To add one: a function in the module of its family, what it does in `actions`, and a row in registry.py.
"""
