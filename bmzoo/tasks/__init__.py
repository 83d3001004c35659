"""The task graph: doit's dictionaries, one module for each family of tasks, and what doit shows while it runs.

The only package that knows doit. A task ties names to functions of `results`, `release`, `tuning` and `explain`.
"""
