"""The zoo as pages to look at, and where an artifact's time goes. Reads what is there, makes nothing."""
