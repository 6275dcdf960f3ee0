"""The boundary between a declared stage and the world: reading, isolation, fallback, degradation, appending."""
