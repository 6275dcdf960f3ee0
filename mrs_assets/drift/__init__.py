"""Whether the world still looks as it did when a model learnt it: pure measures, what they are taken of, and checks."""
