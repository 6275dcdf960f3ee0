"""Stories that drive objectives of a real graph across their limits and back, by the module that measures them."""
