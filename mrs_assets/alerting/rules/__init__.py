"""What is worth an alert: one file per rule, each from a typed frame to conditions."""
