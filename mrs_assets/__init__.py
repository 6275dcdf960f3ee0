"""The Minority Report System's asset graph: contracts, feeds, stages, hydration and the checks over them."""

__version__ = "0.1.0"
