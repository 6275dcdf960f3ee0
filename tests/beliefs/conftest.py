from __future__ import annotations

import pytest

from tests.beliefs.history import History, told


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Nobody writes to it."""
    return told(tmp_path_factory.mktemp("beliefs"))
