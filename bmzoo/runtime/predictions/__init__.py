"""What a network says of one picture, one module for each kind of prediction; `registry` lists them."""
