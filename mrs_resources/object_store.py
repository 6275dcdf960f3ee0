"""The object store that the Parquet files of a lake may lie in: its keys, and what its refusals mean."""

from __future__ import annotations

import os

import duckdb

from mrs_assets.contracts.errors import MrsError, SettingsMistake, StorageUnreachable
from mrs_assets.contracts.storage import Storage

KEY_ID, SECRET, SESSION, REGION = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"
"""Environment variables; the names that every tool for such stores reads."""

_REFUSED = ("301", "400", "401", "403")
"""Answers of a store that has another region, does not know the keys or does not let them in."""


def keep_keys(engine: duckdb.DuckDBPyConnection, storage: Storage) -> None:
    """Give DuckDB the keys of the object store, from the environment, and ask the store whether it takes them.

    Small appends lie in the catalogue at first. Without the question, wrong keys would be found out days later.

    Raises:
        SettingsMistake: the environment has no keys.
        duckdb.Error: what the store or the network answered; see `told_by_store`.
    """
    missing = [name for name in (KEY_ID, SECRET) if not os.environ.get(name)]
    if missing:
        raise SettingsMistake(
            f"Data in a bucket needs the environment variables {KEY_ID} and {SECRET}; not set: {', '.join(missing)}.",
            remedy="Set the keys of an account that may list, read, write and delete there.",
        )
    told: dict[str, object] = {
        "SCOPE": storage.data,
        "KEY_ID": os.environ[KEY_ID],
        "SECRET": os.environ[SECRET],
        "SESSION_TOKEN": os.environ.get(SESSION, ""),
        "REGION": os.environ.get(REGION) or "us-east-1",
    }
    if storage.endpoint is not None:
        scheme, _, host = storage.endpoint.partition("://")
        told |= {"ENDPOINT": host, "URL_STYLE": "path", "USE_SSL": scheme == "https"}
    # The extension takes the keys from the environment too, as settings, which are shown in full.
    for setting in ("s3_access_key_id", "s3_secret_access_key", "s3_session_token"):
        engine.execute(f"SET GLOBAL {setting} = ''")
    engine.execute(f"CREATE SECRET objects (TYPE s3, {', '.join(f'{name} ${name}' for name in told)})", told)
    engine.execute("SELECT count(*) FROM glob(?)", [f"{storage.data.rstrip('/')}/.nobody-has-this-name*"])


def told_by_store(error: duckdb.Error, storage: Storage) -> MrsError | None:
    """Name what the object store, or the way to it, answered; None where the error is about something else."""
    lines = [line.strip(" .") for line in str(error).splitlines() if line.strip()]
    said = ": ".join(line for line in lines[:2] if not line.startswith("LINE"))
    if not storage.in_a_bucket or not any(word in said for word in ("HTTP", "DATA_PATH")):
        return None
    if "DATA_PATH" in said:
        return SettingsMistake(
            f"The files of the lake lie elsewhere: {lines[0]}. Nothing was opened.",
            remedy="Set data of [storage] back; to move the files, migrate to a new catalogue.",
        )
    server = storage.endpoint or "Amazon"
    if "NoSuchBucket" in said:
        return SettingsMistake(
            f"There is no bucket {storage.data.split('/')[2]!r} at {server}. Nothing was written.",
            remedy="Make it, or change data of [storage].",
        )
    if str(getattr(error, "status_code", "")) in _REFUSED:
        return SettingsMistake(
            f"{server} lets nobody in to {storage.data} with these keys: {said}. Nothing was written.",
            remedy=f"Look at {KEY_ID}, {SECRET} and {REGION}, and at what the account may do.",
        )
    return StorageUnreachable(
        f"The object store at {server} does not answer for {storage.data}: {said}. Nothing was written.",
        remedy="Look at endpoint of [storage] and at the server.",
    )
