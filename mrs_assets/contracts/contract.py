"""A log's contract: one declaration from which DDL, schema, empty frame, admission and docs are derived."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import pandera.polars as pa
import polars as pl
from pandera.errors import SchemaErrors

from mrs_assets.contracts.columns import INSTANT, SQL_TYPES, Texts, optional, required
from mrs_assets.contracts.errors import ContractBroken

FLOAT_DECIMALS = 6
"""Floating-point payload is rounded to this many decimals, so that the last bits never make a new version."""


class Rows(pa.DataFrameModel):
    """What a writer hands to the kernel: coordinates, the log's own columns, and the degraded state."""

    retailer: str = required(description="Partition coordinate: the retailer's name in feeds.toml.")
    business_day: pl.Date = required(description="Partition coordinate: the retailer's local trading day.")
    is_degraded: bool = required(description="An input that this row wanted was missing or stale.")
    degraded_reasons: Texts = required(  # type: ignore[valid-type]
        description="Sorted short codes of what was missing, such as `MRCL_down`."
    )
    model_version: str = optional(description="Version of the model that computed the row; NULL where none did.")

    class Config:
        """No column beyond those declared."""

        strict = True


COORDINATES = ("run_id", "retailer", "business_day")
STATE = ("version", "written_at", "row_hash", "is_retracted", "is_degraded", "degraded_reasons")
PROVENANCE = ("batch_id", "dagster_run_id", "code_version", "model_version")

ENVELOPE: dict[str, tuple[pl.DataType, str]] = {
    "run_id": (pl.String(), "Namespace from `demo_run_config`; advancing it starts every view clean."),
    "version": (pl.Int32(), "1, 2, 3 … per (run_id, key); rises only when content changes."),
    "written_at": (INSTANT, "Commit time, strictly rising per log even if the clock steps back."),
    "row_hash": (pl.String(), "MD5 of key, values and degraded state; not of provenance or lineage."),
    "is_retracted": (pl.Boolean(), "The key is no longer true as of this version."),
    "batch_id": (pl.String(), "The append that wrote the row."),
    "dagster_run_id": (pl.String(), "The Dagster run that wrote the row; NULL outside of one."),
    "code_version": (pl.String(), "Version of the code that computed the row."),
}
"""Columns that the kernel fills; the writer never does."""


@dataclass(frozen=True)
class Contract:
    """One append-only log.

    Attributes:
        name: table and asset name.
        rows: pandera model of the columns that a writer supplies.
        key: logical identity within a run_id.
        stage: group it belongs to (`feeds`, `series`, `detection`, …).
        code: short name in the glossary, such as `MRDL`.
        lineage: payload columns that tell history rather than content; they are left out of `row_hash`.
    """

    name: str
    rows: type[Rows]
    key: tuple[str, ...]
    stage: str
    code: str | None = None
    lineage: tuple[str, ...] = field(default=())

    @cached_property
    def _pandera(self) -> pa.DataFrameSchema:
        return self.rows.to_schema()

    @cached_property
    def body(self) -> pl.Schema:
        """Columns that a writer supplies, in storage order: coordinates, key, payload, degraded state, model."""
        given = {name: column.dtype.type for name, column in self._pandera.columns.items()}
        first = [*COORDINATES[1:], *self.key]
        last = ["is_degraded", "degraded_reasons", "model_version"]
        middle = [name for name in given if name not in first and name not in last]
        return pl.Schema({name: given[name] for name in [*first, *middle, *last]})

    @cached_property
    def payload(self) -> tuple[str, ...]:
        """The log's own columns that are not part of the key."""
        return tuple(name for name in self.body if name not in Rows.to_schema().columns and name not in self.key)

    @cached_property
    def hashed(self) -> tuple[str, ...]:
        """Columns that make the content: a change in one of them is a new version."""
        return (*self.key, *(c for c in self.payload if c not in self.lineage), "is_degraded", "degraded_reasons")

    @cached_property
    def schema(self) -> pl.Schema:
        """Every stored column in storage order."""
        types = {**self.body, **{name: dtype for name, (dtype, _) in ENVELOPE.items()}}
        own = [c for c in self.body if c not in COORDINATES and c not in STATE and c not in PROVENANCE]
        return pl.Schema({name: types[name] for name in [*COORDINATES, *own, *STATE, *PROVENANCE]})

    @property
    def title(self) -> str:
        """What one row is: the first line of the declaration's docstring."""
        return (self.rows.__doc__ or "").strip().splitlines()[0]

    def describe(self, column: str) -> str:
        """What a column means, in words."""
        if column in ENVELOPE:
            return ENVELOPE[column][1]
        return str(self._pandera.columns[column].description or "")

    def nullable(self, column: str) -> bool:
        """Whether NULL is a legal value of a column."""
        return column == "dagster_run_id" or (column not in ENVELOPE and bool(self._pandera.columns[column].nullable))

    @cached_property
    def ddl(self) -> str:
        """Column list of the log's table; constraints are kept by the kernel, not by the database."""
        return ", ".join(f'"{name}" {SQL_TYPES[dtype]}' for name, dtype in self.schema.items())

    def empty(self, *, stored: bool = False) -> pl.DataFrame:
        """A frame without rows and with every column typed: what a missing input looks like."""
        return pl.DataFrame(schema=self.schema if stored else self.body)

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Cast and order a stage's frame; absent payload columns become typed NULLs.

        Raises:
            ContractBroken: a key column is absent, or there is a column that the contract does not know.
        """
        unknown = [c for c in frame.columns if c not in self.body]
        absent = [c for c in (*COORDINATES[1:], *self.key) if c not in frame.columns]
        if unknown or absent:
            raise ContractBroken(f"{self.name}: unknown columns {unknown}, absent key columns {absent}.")
        defaults: dict[str, pl.Expr] = {
            "is_degraded": pl.lit(False),
            "degraded_reasons": pl.lit([], dtype=pl.List(pl.String)),
        }
        columns = []
        for name, dtype in self.body.items():
            value = pl.col(name) if name in frame.columns else defaults.get(name, pl.lit(None))
            value = value.cast(dtype)
            if dtype == pl.Float64():
                value = _rounded(value)
            elif dtype == pl.List(pl.Float64):
                value = value.list.eval(_rounded(pl.element()))
            columns.append(value.alias(name))
        return frame.select(columns)

    def admit(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Split a conformed frame into rows that keep the contract and rows that do not.

        Returns:
            (good, bad): `bad` has the offered columns plus `verdict_code` and `verdict`, one line per row.
        """
        verdicts = {"verdict_code": pl.String, "verdict": pl.String}
        problems = pl.DataFrame(schema={"row": pl.UInt32, **verdicts})
        try:
            self._doubtful(frame).validate(frame, lazy=True)
        except SchemaErrors as failure:
            cases = failure.failure_cases.filter(pl.col("index").is_not_null())
            if cases.height == 0:
                raise ContractBroken(f"{self.name}: {failure}") from failure
            problems = (
                cases.select(
                    pl.col("index").cast(pl.UInt32).alias("row"),
                    pl.format("{}_{}", "column", pl.col("check").str.extract(r"^(\w+)")).alias("verdict_code"),
                    pl.format("{} = {} fails {}", "column", pl.col("failure_case").fill_null("NULL"), "check").alias(
                        "verdict"
                    ),
                )
                .group_by("row")
                .agg(pl.col("verdict_code").sort().first(), pl.col("verdict").sort().str.join("; "))
            )
        numbered = frame.with_row_index("row")
        good = numbered.join(problems, on="row", how="anti", maintain_order="left").drop("row")
        bad = numbered.join(problems, on="row", how="inner", maintain_order="left").drop("row")
        return good, bad

    def _doubtful(self, frame: pl.DataFrame) -> pa.DataFrameSchema:
        """What a conformed frame may break: it has the columns and types, and most columns allow any value, or NULL."""
        return pa.DataFrameSchema(
            {
                name: column
                for name, column in self._pandera.columns.items()
                if column.checks or (frame[name].has_nulls() and not column.nullable)
            },
            checks=self._pandera.checks,
        )


def _rounded(value: pl.Expr) -> pl.Expr:
    # -0.0 is written and hashed unlike 0.0; adding 0.0 does not help, because polars drops that addition.
    rounded = value.round(FLOAT_DECIMALS)
    return pl.when(rounded == 0).then(0.0).otherwise(rounded)


Direction = Literal["up", "down"]
