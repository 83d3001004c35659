"""Running steps on other machines: a Dask client here, and what its workers do there."""
