"""Clustering: what a report looks like, as a place in a library of known shapes."""
