"""Finalisation: one consolidated record per report, from what the stages said and what people decided."""
