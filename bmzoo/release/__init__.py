"""The zoo as a whole: the manifest, how two of them differ, the table of results, and what no config names any
more."""
