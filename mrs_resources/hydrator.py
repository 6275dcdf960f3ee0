"""Keeps the views' tables in the warehouse equal to what the logs say, recomputing only what they touched."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from mrs_assets.contracts.errors import UnknownName
from mrs_assets.contracts.logs.operations import DEMO_RUN_CONFIG
from mrs_assets.contracts.views import Fold, View
from mrs_resources.log_store import FIRST_RUN, SYSTEM_RUN, Transaction

STATE_DDL = "view VARCHAR, run_id VARCHAR, definition VARCHAR, hydrated_to TIMESTAMPTZ"
STATE_TABLE = "hydration_state"


@dataclass(frozen=True)
class RefreshedView:
    """What one refresh did to one view.

    Attributes:
        view: its name.
        rows: rows it has now.
        recomputed: keys computed again; all of them after a rebuild.
        changed: rows that came out new, different or gone. A rebuild counts against the former table too.
        rebuilt: whether everything was computed again.
    """

    view: str
    rows: int
    recomputed: int
    changed: int
    rebuilt: bool


@dataclass(frozen=True)
class Refreshed:
    """What one refresh did.

    Attributes:
        run_id: namespace shown.
        hydrated_to: every row written up to here is reflected; None: the logs are empty.
        views: per view, in the order of the folds.
    """

    run_id: str
    hydrated_to: datetime | None
    views: tuple[RefreshedView, ...]

    @property
    def changed(self) -> int:
        """Rows that came out new, different or gone, over all views."""
        return sum(view.changed for view in self.views)

    def __getitem__(self, view: str) -> RefreshedView:
        return next(v for v in self.views if v.view == view)


class Hydrator:
    """Executes the folds.

    Attributes:
        folds: views in the order in which they are refreshed.
    """

    def __init__(self, folds: Sequence[Fold]) -> None:
        self.folds = tuple(folds)

    def refresh(self, tx: Transaction, *, from_scratch: bool = False) -> Refreshed:
        """Bring every view's table up to the newest write of the transaction's namespace.

        A view is rebuilt when it has never been hydrated, when the namespace was advanced or when its declaration
        changed; otherwise only keys with newer rows in the logs that it reads are computed again. Both ways end in
        the same table.

        Args:
            tx: the open transaction; its namespace is what the tables show afterwards.
            from_scratch: rebuild whatever the state says.
        """
        connection = tx.connection
        connection.execute(f"CREATE TABLE IF NOT EXISTS {STATE_TABLE} ({STATE_DDL})")
        newest = tx.newest_write()
        done = []
        rebuilding = from_scratch
        for fold in self.folds:
            tx.ensure(*fold.reads)
            since = None if rebuilding else self._hydrated_to(tx, fold)
            # What rests on a rebuilt view is rebuilt as well.
            rebuilding = rebuilding or since is None
            done.append(self._rebuild(tx, fold) if since is None else self._refresh(tx, fold, since))
            connection.execute(f"DELETE FROM {STATE_TABLE} WHERE view = ?", [fold.view.name])
            state = [fold.view.name, tx.run_id, _definition(fold), newest or datetime.min.replace(tzinfo=UTC)]
            connection.execute(f"INSERT INTO {STATE_TABLE} VALUES (?, ?, ?, ?)", state)
        for fold in self.folds:
            connection.execute(f"DROP TABLE IF EXISTS touched_{fold.view.name}")
            connection.execute(f"DROP TABLE IF EXISTS replaced_{fold.view.name}")
        return Refreshed(tx.run_id, newest, tuple(done))

    def current(self, tx: Transaction, view: View) -> pl.DataFrame:
        """The view's table as last refreshed, sorted by key."""
        return _typed(view, tx.query(f'SELECT * FROM {view.name} ORDER BY "{view.key}"'))

    def as_of(self, tx: Transaction, view: View, instant: datetime | None) -> pl.DataFrame:
        """The view as it was at an instant (None: now), computed from the logs alone, sorted by key.

        It shows the namespace that was current at the instant.

        Raises:
            UnknownName: no fold computes the view.
        """
        fold = fold_of(self.folds, view)
        tx.ensure(*fold.reads)
        parameters: dict[str, object] = {"run_id": _run_at(tx, instant), "as_of": instant and tx.settled(instant)}
        return _typed(view, tx.query(f'SELECT * FROM ({fold.as_of}) ORDER BY "{view.key}"', parameters))

    def _hydrated_to(self, tx: Transaction, fold: Fold) -> datetime | None:
        row = tx.connection.execute(
            f"SELECT hydrated_to FROM {STATE_TABLE} WHERE view = ? AND run_id = ? AND definition = ?",
            [fold.view.name, tx.run_id, _definition(fold)],
        ).fetchone()
        return row[0] if row else None

    def _rebuild(self, tx: Transaction, fold: Fold) -> RefreshedView:
        name, rebuilt = fold.view.name, f"rebuilt_{fold.view.name}"
        tx.connection.execute(f"CREATE TABLE {rebuilt} ({fold.view.ddl})")
        tx.connection.execute(f"INSERT INTO {rebuilt} {fold.rebuild}", {"run_id": tx.run_id, "as_of": None})
        rows = changed = _count(tx, f"SELECT count(*) FROM {rebuilt}")
        if _has_columns(tx, fold.view) and _count(tx, f"SELECT count(*) FROM {name}"):
            changed = _differences(tx, fold.view, rebuilt, name)
            tx.connection.execute("DROP TABLE different")
        tx.connection.execute(f"DROP TABLE IF EXISTS {name}")
        tx.connection.execute(f"ALTER TABLE {rebuilt} RENAME TO {name}")
        return RefreshedView(name, rows, rows, changed, rebuilt=True)

    def _refresh(self, tx: Transaction, fold: Fold, since: datetime) -> RefreshedView:
        view, connection = fold.view, tx.connection
        recomputed = self._find_touched(tx, fold, since)
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE replaced_{view.name} AS SELECT * FROM {view.name} "
            f'WHERE "{view.key}" IN (SELECT "{view.key}" FROM touched_{view.name})'
        )
        changed = 0
        if recomputed:
            parameters = {"run_id": tx.run_id, "as_of": None}
            connection.execute(f"CREATE OR REPLACE TEMP TABLE computed AS {fold.refresh}", parameters)
            changed = _differences(tx, view, "computed", f"replaced_{view.name}")
            if changed:
                connection.execute(f'DELETE FROM {view.name} WHERE "{view.key}" IN (SELECT key FROM different)')
                connection.execute(
                    f'INSERT INTO {view.name} SELECT * FROM computed WHERE "{view.key}" IN (SELECT key FROM different)'
                )
            connection.execute("DROP TABLE computed; DROP TABLE different")
        return RefreshedView(view.name, _count(tx, f"SELECT count(*) FROM {view.name}"), recomputed, changed, False)

    def _find_touched(self, tx: Transaction, fold: Fold, since: datetime) -> int:
        key, table = fold.view.key, f"touched_{fold.view.name}"
        parameters: dict[str, object] = {"run_id": tx.run_id, "since": since}
        newest = tx.kernel.batches.newest(tx.run_id)
        tx.connection.execute(f'CREATE OR REPLACE TEMP TABLE {table} ("{key}" VARCHAR)')
        queries = [(fold.touched[log], parameters) for log in sorted(fold.touched) if newest.get(log, since) > since]
        if fold.touched_by_views:
            queries.append((fold.touched_by_views, {"run_id": tx.run_id}))
        for query, values in queries:
            tx.connection.execute(
                f'INSERT INTO {table} SELECT "{key}" FROM ({query}) EXCEPT SELECT "{key}" FROM {table}', values
            )
        return _count(tx, f"SELECT count(*) FROM {table}")


def fold_of(folds: Sequence[Fold], view: View) -> Fold:
    """The fold that computes a view.

    Raises:
        UnknownName: none does.
    """
    for fold in folds:
        if fold.view.name == view.name:
            return fold
    raise UnknownName(f"Nothing computes {view.name!r}.")


def _run_at(tx: Transaction, instant: datetime | None) -> str:
    if instant is None:
        return tx.run_id
    then = tx.live(DEMO_RUN_CONFIG, as_of=instant, run_id=SYSTEM_RUN)
    return str(then["active_run_id"][0]) if then.height else FIRST_RUN


def _definition(fold: Fold) -> str:
    told = "\n".join([fold.view.ddl, fold.rebuild, fold.refresh])
    return hashlib.sha256(told.encode()).hexdigest()


def _count(tx: Transaction, sql: str) -> int:
    row = tx.connection.execute(sql).fetchone()
    return int(row[0]) if row else 0


def _differences(tx: Transaction, view: View, fresh: str, former: str) -> int:
    """Leave in `different` the keys whose rows in two tables are not the same, and count them."""
    tx.connection.execute(
        f'CREATE OR REPLACE TEMP TABLE different AS SELECT "{view.key}" AS key FROM '
        f"((SELECT * FROM {fresh} EXCEPT SELECT * FROM {former}) UNION ALL "
        f"(SELECT * FROM {former} EXCEPT SELECT * FROM {fresh})) GROUP BY ALL"
    )
    return _count(tx, "SELECT count(*) FROM different")


def _has_columns(tx: Transaction, view: View) -> bool:
    found = tx.connection.execute(
        "SELECT column_name FROM duckdb_columns() WHERE database_name = current_database() AND table_name = ? "
        "ORDER BY column_index",
        [view.name],
    ).fetchall()
    return [name for (name,) in found] == list(view.schema)


def _typed(view: View, frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(pl.col(name).cast(dtype) for name, dtype in view.schema.items())
