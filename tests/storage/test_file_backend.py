"""A connection that fails keeps nobody from the file."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from mrs_resources.file_backend import FileBackend


def test_a_connection_that_cannot_let_go_of_the_file_is_ended_with_its_engine(tmp_path: Path) -> None:
    backend = FileBackend(tmp_path)
    with backend.writing() as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
    with pytest.raises(duckdb.Error, match="closed"), backend.reading() as connection:
        connection.close()
    for one in (backend, FileBackend(tmp_path)):
        with one.reading() as connection:
            assert connection.execute("FROM kept").fetchall() == [(1,)]
