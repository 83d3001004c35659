"""Tuning of INT8 settings by coordinate search: the search space, the recommendation, tables and plots."""
