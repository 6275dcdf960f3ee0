"""What the rooms of the system agree on: log contracts, identities, scopes, stage declarations, settings, errors.

Nothing here reads a file, opens a database or knows an orchestrator.
"""
