"""Ground truth of pictures by its layout on disk, one module for each; `measure/groundtruth.py` lists them."""
