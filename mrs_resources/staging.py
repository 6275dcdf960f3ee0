"""Rows on their way into a log: staged in temporary tables, freed of duplicates, refused ones set aside.

`offered` is what the kernel compares and writes; `letters` is what it puts into the dead-letter log. What was written
before is none of this module's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import duckdb
import polars as pl

from mrs_assets.contracts.columns import SQL_TYPES
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.errors import ContractBroken
from mrs_assets.contracts.scope import Scope
from mrs_resources.contract_sql import is_of_one_instant, quoted, row_hash_sql, scope_sql

DEAD_LETTER = pl.Schema(
    {
        "retailer": pl.String,
        "business_day": pl.Date,
        "report_id": pl.String,
        "source": pl.String,
        "source_row": pl.Int64,
        "raw_payload": pl.String,
        "error_code": pl.String,
        "error": pl.String,
    }
)
"""What a writer says of a row that it could not admit."""

OFFERED, STAGED, LETTERS = "offered", "staged", "letters"
"""Rows with their constant columns; rows without them; refused rows."""

ROWS_SORTED_AT_ONCE = 1_000_000
"""More rows than this are written some days at a time, so that sorting them stays in memory."""


class Staging:
    """The temporary tables of one append.

    Attributes:
        connection: open connection, in a transaction.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection

    def offer(
        self,
        contract: Contract,
        source_sql: str,
        parameters: list[object] | None = None,
        constants: Mapping[str, str] | None = None,
        *,
        hashed: bool = False,
    ) -> None:
        """Stage rows for `append` from a query that has the contract's body columns and an `ordinal`.

        `ordinal` orders rows that claim the same key: the highest is kept.

        Args:
            contract: the log that the rows are for.
            source_sql: the query.
            parameters: of the query.
            constants: column → SQL literal that every row has; the query leaves these columns out, and they take no
                room while staged.
            hashed: whether the query has the `row_hash` already.
        """
        same = dict(constants or {})
        fixed = "".join(f', {literal} AS "{name}"' for name, literal in same.items())
        staged = quoted([c for c in contract.body if c not in same])
        body = ", ".join(f'{same[c]} AS "{c}"' if c in same else f'"{c}"' for c in contract.body)
        row_hash = "row_hash" if hashed else row_hash_sql(contract)
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {STAGED} AS SELECT {staged}, ordinal, {row_hash} AS row_hash "
            f"FROM (SELECT *{fixed} FROM ({source_sql}))",
            parameters or [],
        )
        self.connection.execute(
            f"CREATE OR REPLACE TEMP VIEW {OFFERED} AS SELECT {body}, ordinal, row_hash, rowid AS place FROM {STAGED}"
        )

    def clear(self) -> None:
        """Drop what was staged."""
        self.connection.execute(f"DROP VIEW {OFFERED}; DROP TABLE {STAGED}; DROP TABLE {LETTERS}")

    def refuse_rows_out_of_scope(self, contract: Contract, scope: Scope) -> None:
        """Raise ContractBroken where a staged row lies outside of a scope."""
        condition, parameters = scope_sql(scope, contract, "")
        inside = condition.replace("run_id = ?", "TRUE")
        stray = self._count(f"SELECT count(*) FROM {OFFERED} WHERE NOT ({inside})", parameters[1:])
        if stray:
            raise ContractBroken(f"{contract.name}: {stray} offered rows lie outside of {scope}.")

    def stage_letters(self, dead_letters: pl.DataFrame | str | None) -> int:
        """Set refused rows aside, and count them."""
        columns = quoted(DEAD_LETTER.names())
        # Not CREATE … AS: a table made so from an empty frame loses what is inserted in bulk later in the transaction.
        declared = ", ".join(f'"{name}" {SQL_TYPES[dtype]}' for name, dtype in DEAD_LETTER.items())
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {LETTERS} ({declared})")
        if isinstance(dead_letters, str):
            self.connection.execute(f"INSERT INTO {LETTERS} SELECT {columns} FROM ({dead_letters})")
        elif dead_letters is not None:
            self.connection.register("refused", dead_letters.select(DEAD_LETTER.names()).cast(DEAD_LETTER))
            self.connection.execute(f"INSERT INTO {LETTERS} SELECT {columns} FROM refused")
            self.connection.unregister("refused")
        return self._count(f"SELECT count(*) FROM {LETTERS}")

    def drop_duplicates(self, contract: Contract) -> int:
        """Leave one row per key; make dead letters of those that claimed a key with other content, and count them."""
        key = quoted(list(contract.key))
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE claimed AS SELECT hash({key}) AS h FROM {OFFERED} "
            "GROUP BY h HAVING count(*) > 1"
        )
        if not self._count("SELECT count(*) FROM claimed"):
            return 0
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE ranked AS SELECT place, "
            f"row_number() OVER claim AS rank, row_hash = first_value(row_hash) OVER claim AS agrees "
            f"FROM {OFFERED} WHERE hash({key}) IN (SELECT h FROM claimed) "
            f"WINDOW claim AS (PARTITION BY {key} ORDER BY ordinal DESC NULLS LAST, row_hash DESC)"
        )
        report = '"report_id"' if "report_id" in contract.body else "NULL"
        content = ", ".join(f'"{c}" := o."{c}"' for c in contract.hashed)
        conflicting = self._count(
            f"INSERT INTO {LETTERS} SELECT retailer, business_day, {report}, NULL, ordinal, "
            f"to_json(struct_pack({content})), 'conflicting_key', "
            "'a later row of the submission has other values for the same key and was kept: send one row per key.' "
            f"FROM {OFFERED} o JOIN ranked r ON o.place = r.place WHERE r.rank > 1 AND NOT r.agrees"
        )
        self.connection.execute(f"DELETE FROM {STAGED} WHERE rowid IN (SELECT place FROM ranked WHERE rank > 1)")
        return conflicting

    def spans_to_sort(self, contract: Contract) -> list[tuple[date, date]] | None:
        """Spans of days to write one after the other; none where the rows are in order of days already.

        None: few rows, or rows whose place in the batch counts all of them; write them at once.
        """
        if not is_of_one_instant(contract) or self._count(f"SELECT count(*) FROM {STAGED}") <= ROWS_SORTED_AT_ONCE:
            return None
        steps_back = (
            f"SELECT count(*) FROM (SELECT business_day < lag(business_day) OVER () AS back FROM {STAGED}) WHERE back"
        )
        if not self._count(steps_back):
            return []
        spans: list[tuple[date, date]] = []
        rows = 0
        for day, count in self.connection.execute(
            f"SELECT business_day, count(*) FROM {STAGED} GROUP BY ALL ORDER BY ALL"
        ).fetchall():
            if spans and rows + count <= ROWS_SORTED_AT_ONCE:
                spans[-1], rows = (spans[-1][0], day), rows + count
            else:
                spans.append((day, day))
                rows = count
        return spans

    def _count(self, sql: str, parameters: list[object] | None = None) -> int:
        row = self.connection.execute(sql, parameters or []).fetchone()
        return int(row[0]) if row else 0
