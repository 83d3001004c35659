"""The zoo as a whole: its manifest, comparison of two manifests, tables of results, and removal of orphans."""
