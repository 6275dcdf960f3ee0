"""What was believed at one instant and at another, and why the two differ."""
