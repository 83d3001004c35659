"""Remote execution of steps: a Dask client, and the code that its workers run."""
