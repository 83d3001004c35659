"""What leaves for a board: one archive of a target, signed, verified offline, checked where it is unpacked."""
