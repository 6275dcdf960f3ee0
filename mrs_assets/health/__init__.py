"""Whether the system does what was promised: views of its logs, what they say in one sentence, page and metrics."""
