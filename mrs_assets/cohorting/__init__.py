"""Cohorting: which reports belong together, across products, stores and retailers."""
