"""Column types and field declarations that every contract is written with."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import pandera.polars as pa
import polars as pl

Instant = Annotated[pl.Datetime, "us", "UTC"]
"""A moment, UTC, microseconds."""

INSTANT: pl.DataType = pl.Datetime("us", "UTC")
"""Its type in a frame."""

Amount = Annotated[pl.Decimal, 18, 4]
"""Units or money, exact to four decimals."""

Count = pl.Int64
"""A number of things."""

Texts = pl.List(pl.String)
Numbers = pl.List(pl.Float64)

required = pa.Field
"""A column that must have a value."""

optional = partial(pa.Field, nullable=True)
"""A column where NULL is a legal value: nobody said."""

share = partial(pa.Field, nullable=True, ge=0, le=1)
"""A probability, confidence or share between 0 and 1, or NULL."""

name = partial(pa.Field, str_length={"min_value": 1, "max_value": 256})
"""An identifier given by someone outside: never empty, at most 256 characters."""

SERIES = ("store_id", "sku")
"""What a series of one retailer is known by."""

RETAILER_SERIES = ("retailer", *SERIES)
"""What a series is known by among all retailers."""

SQL_TYPES: dict[pl.DataType, str] = {
    pl.String(): "VARCHAR",
    pl.Date(): "DATE",
    pl.Boolean(): "BOOLEAN",
    pl.Int32(): "INTEGER",
    pl.Int64(): "BIGINT",
    pl.Float64(): "DOUBLE",
    INSTANT: "TIMESTAMPTZ",
    pl.Decimal(18, 4): "DECIMAL(18,4)",
    pl.List(pl.String): "VARCHAR[]",
    pl.List(pl.Float64): "DOUBLE[]",
}
"""How each column type is stored. A type that is not here cannot be declared."""
