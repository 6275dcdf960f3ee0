"""What the assets stand on: the warehouse and its append kernel, the archive, models, publication.

The only room that opens a DuckDB connection. It imports contracts and nothing else of ours.
"""
