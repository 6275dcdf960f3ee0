"""Alerts: what is worth telling somebody, when it is news, when it is over, and to whom it goes."""
