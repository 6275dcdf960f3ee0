"""What the authors of edits looked at: the machine's word on each report as of the instant that an edit rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import polars as pl

from mrs_assets.finalisation import selection_sql as sql
from mrs_assets.finalisation.rebase import READ, Belief, Row

Beliefs = Mapping[tuple[str, str], Belief]
"""(annotation, report meant now) → what the annotation's author looked at."""


class Readable(Protocol):
    """The part of a transaction that is needed here."""

    run_id: str

    def query(self, sql: str, parameters: Any = None) -> pl.DataFrame:
        """Rows of a query."""
        ...


def read_beliefs(tx: Readable, report_edits: pl.DataFrame) -> Beliefs:
    """What people saw when they acted, set-wise: three queries at most, whatever the number of edits.

    An edit rests on `based_on_written_at`, else on what was known at `acted_at`; never on more than was known when
    the edit itself arrived. Of a report that was not true at that instant, its last known values were seen.

    Args:
        tx: where the logs are read.
        report_edits: rows of `selection_sql.REPORT_EDITS`.
    """
    edits = report_edits.filter(pl.col("user_role") != "system").with_columns(
        pl.min_horizontal(pl.coalesce("based_on_written_at", "acted_at"), "written_at").alias("seen_at")
    )
    if edits.height == 0:
        return {}
    asked = list(edits.select("annotation_id", "report_id", "made_on", "seen_at").iter_rows())
    saw = _answered(tx, sql.MACHINE_AT, [(made_on, seen_at, None) for _, _, made_on, seen_at in asked])
    unanswered = [n for n in range(len(asked)) if n not in saw]
    last_known = _answered(tx, sql.MACHINE_LAST_KNOWN_AT, [(*asked[n][2:], None) for n in unanswered])
    saw |= {unanswered[n]: row for n, row in last_known.items()}
    seen = sorted(saw)
    since = _answered(tx, sql.MACHINE_AT, [(asked[n][1], None, saw[n]["tick"]) for n in seen])
    today = {seen[n]: row for n, row in since.items()}
    return {
        (annotation_id, report_id): Belief(seen_at, made_on, saw.get(n), today.get(n))
        for n, (annotation_id, report_id, made_on, seen_at) in enumerate(asked)
    }


def _answered(
    tx: Readable, statement: str, questions: Sequence[tuple[str, datetime | None, datetime | None]]
) -> dict[int, Row]:
    """Place of a question → the machine's word; questions are (report, by which instant written, up to which tick)."""
    if not questions:
        return {}
    subjects, seen_at, tick_to = (list(column) for column in zip(*questions, strict=True))
    words = [str(n) for n in range(len(questions))]
    parameters = {"run_id": tx.run_id, "words": words, "subjects": subjects, "seen_at": seen_at, "tick_to": tick_to}
    columns = ", ".join(f'"{name}"' for name in READ)
    rows = tx.query(f"SELECT {columns} FROM ({statement})", parameters)
    return {int(row["report_id"]): row for row in rows.iter_rows(named=True)}
