"""One rule per file: facts → reports to look at again, each with its cause and evidence."""
