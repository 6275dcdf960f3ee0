"""Service levels: what is promised, how it is measured, and how much may go wrong. Pure functions of typed frames."""
