"""Verification: what a run says is compared with what its archived files come to when they are built again."""
