from tests.with_history import world

__all__ = ["world"]
