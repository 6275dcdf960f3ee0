"""Readers of the published snapshot, while it is replaced and afterwards.

MRS_POLLS and MRS_AS_OF say how many looks are taken; `make soak` takes many.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from polars.testing import assert_frame_equal

from mrs_assets.contracts.views import VIEWS
from mrs_assets.hydration.folds import FOLDS
from mrs_resources.reader import SnapshotReader
from tests.histories import in_memory
from tests.histories.publications import Publishing, mixed
from tests.histories.story import dice
from tests.histories.trial import start_for

POLLS = int(os.environ.get("MRS_POLLS", "50"))
AS_OF = int(os.environ.get("MRS_AS_OF", "60"))
STORES = 4


@pytest.fixture(scope="module")
def publishing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Publishing]:
    folder = tmp_path_factory.mktemp("publishing")
    with in_memory.warehouses_in_memory():
        publishing = Publishing(start_for(folder / "start", STORES), folder, STORES)
        publishing.happen(POLLS)
        yield publishing


def test_a_reader_never_sees_a_gap_or_a_mix(publishing: Publishing) -> None:
    assert len(publishing.polls) >= POLLS
    assert len({poll.known_at for poll in publishing.polls if not isinstance(poll, str)}) >= 4
    assert mixed(publishing.polls, publishing.publications) == []


def test_as_of_an_instant_is_what_was_published_then(publishing: Publishing) -> None:
    publications = [*publishing.known_for()]
    assert len({found.digest for found in publications}) >= 4
    reader = SnapshotReader(publishing.home.settings.home, FOLDS)
    drawn = dice("instants")
    for _ in range(AS_OF):
        found, view = drawn.choice(publications), drawn.choice(VIEWS)
        instant = found.known_at + (found.until - found.known_at) * drawn.random()
        told = reader.show(view.name, as_of=instant)
        assert_frame_equal(told, found.views[view.name], check_dtypes=False)
