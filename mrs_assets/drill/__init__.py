"""Drills and rehearsals: proof, on the real graph, that what is promised of failures and rebuilds holds."""
