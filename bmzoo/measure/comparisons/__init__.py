"""How near two sets of predictions are, one module for each kind of prediction; `registry` lists them."""
