"""The generated SQL is reviewed as text: a change of the declaration shows as a change of these files.

Write them anew with `MRS_WRITE_SNAPSHOTS=1 pytest tests/hydration/test_generated_sql.py`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from mrs_assets.finalisation import selection_sql
from mrs_assets.hydration.folds import EVENTS_FOLD, REPORTS_FOLD

SNAPSHOTS = Path(__file__).parent / "snapshots"
STATEMENTS = {
    "minority_reports": REPORTS_FOLD.as_of,
    "minority_reports_refresh": REPORTS_FOLD.refresh,
    "minority_events": EVENTS_FOLD.rebuild,
    "machine": selection_sql.MACHINE,
    "machine_at": selection_sql.MACHINE_AT,
    "report_edits": selection_sql.REPORT_EDITS,
}
EVERYTHING = {**STATEMENTS, "as_of_events": EVENTS_FOLD.as_of, "refresh_events": EVENTS_FOLD.refresh}


@pytest.mark.parametrize("name", STATEMENTS)
def test_the_generated_statement_is_the_reviewed_one(name: str) -> None:
    file = SNAPSHOTS / f"{name}.sql"
    if os.environ.get("MRS_WRITE_SNAPSHOTS"):
        SNAPSHOTS.mkdir(exist_ok=True)
        file.write_text(STATEMENTS[name] + "\n", "utf-8")
    assert STATEMENTS[name] + "\n" == file.read_text("utf-8")


@pytest.mark.parametrize("name", EVERYTHING)
def test_statements_are_portable_and_parametrised(name: str) -> None:
    sql = EVERYTHING[name]
    assert not re.search(r"\b(QUALIFY|RETURNING|ON CONFLICT|PRIMARY KEY)\b", sql, re.IGNORECASE)
    assert not re.search(r"run-\d|20\d\d-", sql)
    assert "$run_id" in sql
    assert "$as_of" in sql or "$seen_at" in sql
