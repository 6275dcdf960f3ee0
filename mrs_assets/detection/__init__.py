"""Detection: what was expected, which windows deviate from it, and the reports that they become."""
