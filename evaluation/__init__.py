"""How good the models are, measured where the truth is known: `make evaluate` writes docs/evaluation."""
