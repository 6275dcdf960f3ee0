"""Drills: proof, on the real graph, that what is promised of failures holds."""
