"""Which steps make, verify, evaluate and tune a target, and the fingerprint of each. Pure data.

A step is command lines, inputs and outputs. Nothing here runs, reads or writes anything, so the whole matrix can be
printed where no toolchain is installed.
"""
