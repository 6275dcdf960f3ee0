"""What Dagster's own rows cost: seconds per materialisation of one partition, in SQLite and in PostgreSQL.

    MRS_CATALOG='host=127.0.0.1 dbname=scratch user=mrs' python -m benchmarks.event_rows

Dagster's tables are made in that database. Without MRS_CATALOG SQLite alone is measured.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import dagster as dg

from mrs_assets.contracts.storage import CATALOGUE

EVENTS = 300
QUIET: dict[str, Any] = {"telemetry": {"enabled": False}}


def main() -> None:
    """Print one line per storage."""
    storages = {"sqlite": QUIET}
    if address := os.environ.get(CATALOGUE):
        from psycopg2.extensions import parse_dsn  # noqa: PLC0415 - of an extra

        said = parse_dsn(address)
        database = {
            "scheme": "postgresql+psycopg2",
            "hostname": said.get("host", "127.0.0.1"),
            "port": int(said.get("port", 5432)),
            "username": said["user"],
            "password": said.get("password", ""),
            "db_name": said["dbname"],
        }
        storages["postgresql"] = QUIET | {"storage": {"postgres": {"postgres_db": database}}}
    for name, overrides in storages.items():
        with dg.DagsterInstance.local_temp(overrides=overrides) as instance:
            seconds = sorted(_event(instance, number) for number in range(EVENTS))
        told = {"median_ms": seconds[EVENTS // 2], "p95_ms": seconds[int(0.95 * EVENTS)]}
        print(json.dumps({"storage": name} | {key: round(value * 1000, 1) for key, value in told.items()}), flush=True)


def _event(instance: dg.DagsterInstance, number: int) -> float:
    began = time.perf_counter()
    instance.report_runless_asset_event(dg.AssetMaterialization("benchmark", partition=str(number)))
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
