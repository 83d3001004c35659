"""What would run, and why: which input of a step has changed since its last result. Runs nothing."""
