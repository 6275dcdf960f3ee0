"""Where the logs of a home lie: `[storage]` of `feeds.toml`."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Literal

from pydantic import Field, field_validator, model_validator

from mrs_assets.contracts.section import Section

Kind = Literal["file", "ducklake"]
"""A DuckDB file of one machine, or DuckLake with a PostgreSQL catalogue for many."""

CATALOGUE = "MRS_CATALOG"
"""Environment variable that says how the catalogue's database is reached; it may hold a password."""

_SCHEMA = re.compile(r"^[a-z_][a-z0-9_]{0,47}$")
_BUCKET = re.compile(r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._=-]+)*/?$")
_ENDPOINT = re.compile(r"^https?://[A-Za-z0-9.-]+(:\d{1,5})?$")


class Storage(Section):
    """Where the logs lie: `[storage]`. Changing it moves nothing: `mrs migrate` does.

    Attributes:
        backend: `file`, a DuckDB file below MRS_HOME for one machine; or `ducklake`, Parquet files with a catalogue in
            the PostgreSQL database that the environment variable MRS_CATALOG names, for several.
        catalogue: schema of that database; two homes that share a database need two.
        data: folder of the Parquet files, below MRS_HOME; or `s3://bucket/prefix`.
        endpoint: address of an S3-compatible store, such as `http://objects:9000`; Amazon's where it is left out.
            The keys are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the environment, the region AWS_REGION; keys
            for a while come with AWS_SESSION_TOKEN.
        keep_replaced_hours: how long files and snapshots of a lake stay after newer ones took their place, for
            those who began to read them. No history is in them.
    """

    backend: Kind = "file"
    catalogue: str = "mrs"
    data: str = "lake"
    endpoint: str | None = None
    keep_replaced_hours: float = Field(default=24, ge=1, allow_inf_nan=False)

    @field_validator("catalogue")
    @classmethod
    def _plain_schema(cls, value: str) -> str:
        if not _SCHEMA.match(value):
            raise ValueError(f"{value!r}: use lower-case letters, digits and _, at most 48 characters")
        return value

    @field_validator("data")
    @classmethod
    def _inside_home_or_a_bucket(cls, value: str) -> str:
        folder = PurePosixPath(value)
        inside = value.strip() and "\\" not in value and not folder.is_absolute() and ".." not in folder.parts
        if not (_BUCKET.match(value) if "://" in value else inside and value.isprintable()):
            raise ValueError(f"{value!r} is neither a folder below MRS_HOME nor s3://bucket/prefix")
        return value

    @field_validator("endpoint")
    @classmethod
    def _an_address(cls, value: str | None) -> str | None:
        if value is not None and not _ENDPOINT.match(value):
            raise ValueError(f"{value!r} is not an address such as http://objects:9000")
        return value

    @model_validator(mode="after")
    def _endpoint_of_a_bucket(self) -> Storage:
        if self.endpoint is not None and not self.in_a_bucket:
            raise ValueError("endpoint is for data in a bucket: data = 's3://bucket/prefix'")
        return self

    @property
    def in_a_bucket(self) -> bool:
        """Whether the Parquet files lie in an object store."""
        return self.data.startswith("s3://")


ON_FILE = Storage()
"""What holds where nothing is said."""
