"""Parts of a stage computed by workers: what they are sent, and what they do with it.

A worker opens the home and runs the parts as the process that asks would. What it wrote is in the logs; of what it
computed, only what there is to tell comes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from multiprocessing import current_process
from pathlib import Path

from mrs_assets import __version__
from mrs_assets.boundary.outcome import StageRun
from mrs_assets.boundary.stage_run import Crew, StageRunner
from mrs_assets.contracts.errors import SettingsMistake
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.stage import Stage
from mrs_assets.contracts.storage import Storage
from mrs_assets.planning.felt import Replay
from mrs_resources.home_mark import check_mark, mark_of
from mrs_resources.kernel import Provenance
from mrs_resources.retrying import with_retries
from mrs_resources.warehouse import Warehouse
from mrs_resources.workers import Workers, workers_of


def crew_of(warehouse: Warehouse, settings: Settings) -> Crew | None:
    """Who computes beside this process; None: nobody, as where nothing of what is written is kept."""
    spread = settings.execution.executor == "dask" and warehouse.keeps
    return WorkersCrew(workers_of(settings.execution), warehouse, settings) if spread else None


class WorkersCrew:
    """Workers that compute for one home."""

    def __init__(self, workers: Workers, warehouse: Warehouse, settings: Settings) -> None:
        self._workers = workers
        self._warehouse = warehouse
        self._settings = settings

    def size(self) -> int:
        """See `Crew.size`."""
        return with_retries(self._workers.count, self._settings.retries)

    def run(
        self, stage: Stage, shares: Sequence[Sequence[Scope]], provenance: Provenance, replay: Replay | None
    ) -> list[StageRun]:
        """See `Crew.run`."""
        home, storage = self._warehouse.home, self._warehouse.storage
        meant = (home, storage, self._settings, mark_of(home), __version__)
        undrawn = replace(stage, picture=None)  # one is shown, and to draw it costs as much as some thousand rows
        calls = [
            (*meant, undrawn if number else stage, tuple(share), provenance, replay)
            for number, share in enumerate(shares)
        ]
        return with_retries(lambda: self._workers.run(compute_share, calls), self._settings.retries)


def compute_share(
    home: Path,
    storage: Storage,
    settings: Settings,
    mark: str,
    version: str,
    stage: Stage,
    share: Sequence[Scope],
    provenance: Provenance,
    replay: Replay | None,
) -> StageRun:
    """Compute some parts of a stage, one after the other, in the worker that this is called in.

    Args:
        home: the home.
        storage: where its logs lie.
        settings: everything configured.
        mark: of the home that is meant.
        version: of the code that asks.
        stage: the stage.
        share: the parts.
        provenance: who computes.
        replay: the replay that they belong to.

    Raises:
        SettingsMistake: the worker is not one that can.
    """
    check_mark(home, mark)
    if version != __version__:
        raise SettingsMistake(
            f"A worker has version {__version__} installed, not {version}. Nothing was written.",
            remedy="Install the same on all of them.",
        )
    if current_process().daemon and not stage.critical:
        raise SettingsMistake(
            f"A worker may not start the process that {stage.name} computes in. Nothing was written.",
            remedy="Start workers with DASK_DISTRIBUTED__WORKER__DAEMON=False in their environment.",
        )
    warehouse = _opened(home, storage)
    return StageRunner(warehouse.store, warehouse.models, settings).run_parts(stage, share, provenance, replay)


@cache
def _opened(home: Path, storage: Storage) -> Warehouse:
    """A warehouse stays open in a worker: attaching a lake costs more than a small part."""
    return Warehouse(home, storage=storage)
