"""Current state as a declared fold: which log supplies which field, and the SQL generated from it. Executes nothing."""
