"""Which past reports are to be looked at again, and in which order: pure functions of typed frames."""
