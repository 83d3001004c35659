"""Results of steps under their fingerprints: in `build/store`, and in a store shared with other checkouts.

An entry is published whole and checked when it is read. What a step means is not known here.
"""
