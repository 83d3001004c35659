"""From the outputs of a network to what they mean, one module for each kind of head; `registry` lists them."""
