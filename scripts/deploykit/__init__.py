"""A new version of a webapp on all its nodes, one after another."""
