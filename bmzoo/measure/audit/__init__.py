"""Whether a network is fed as it was trained: other ways to feed it, and which it surely does better with."""
