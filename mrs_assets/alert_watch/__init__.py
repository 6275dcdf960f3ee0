"""Watching: reads what alerting judges, keeps what it concludes, and has it delivered."""
