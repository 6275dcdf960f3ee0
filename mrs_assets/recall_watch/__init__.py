"""Recall with hands: reads the facts, keeps the worklist, and has reports reviewed through the boundary."""
