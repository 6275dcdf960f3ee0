"""Who computes: `[execution]` of `feeds.toml`."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from mrs_assets.contracts.section import Section

_ADDRESS = re.compile(r"^(tcp|tls)://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]):(\d{1,5})$")


class Execution(Section):
    """Who computes the parts of a stage: `[execution]`. The rows are the same.

    Attributes:
        executor: `in_process`, the process that runs the stage; or `dask`, processes beside it, or on other machines.
        workers: processes to start on this machine, for `dask` without a scheduler; one per processor where it is
            left out.
        scheduler: address of a Dask scheduler that is running, such as `tcp://scheduler:8786` or `tls://…`.
    """

    executor: Literal["in_process", "dask"] = "in_process"
    workers: int | None = Field(default=None, ge=1, le=1024)
    scheduler: str | None = None

    @field_validator("scheduler")
    @classmethod
    def _an_address(cls, value: str | None) -> str | None:
        found = _ADDRESS.match(value) if value is not None else None
        if value is not None and not (found and 0 < int(found[3]) < 65_536):
            raise ValueError(f"{value!r} is not an address such as tcp://scheduler:8786")
        return value

    @model_validator(mode="after")
    def _one_of_them(self) -> Execution:
        if self.executor != "dask" and (self.workers or self.scheduler):
            raise ValueError('workers and scheduler are for executor = "dask"')
        if self.workers and self.scheduler:
            raise ValueError("workers is for workers of this machine; how many a scheduler has is its own affair")
        return self
