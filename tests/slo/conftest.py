from __future__ import annotations

import pytest

from tests.slo.levels import checks, sales, world_at
from tests.world import World


@pytest.fixture(scope="session")
def known(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A history in which all is well, and was looked at; whoever changes something makes a copy."""
    world = world_at(tmp_path_factory.mktemp("levels"))
    world.send(sales(), "history.csv")
    world.tick()
    checks(world)
    return world
