"""The logs with their Parquet files in a bucket, on a real object store: what holds in a folder holds there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from pyarrow import fs

from mrs_assets.contracts.errors import MrsError, SettingsMistake, StorageUnreachable
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.storage import CATALOGUE, Storage
from mrs_assets.hydration.folds import FOLDS
from mrs_resources.backend import open_backend
from mrs_resources.hydrator import Hydrator
from mrs_resources.kernel import Appended
from mrs_resources.lake_backend import LakeBackend
from mrs_resources.lake_upkeep import keep_up
from mrs_resources.log_store import LogStore
from mrs_resources.publisher import Publisher
from tests import object_store
from tests.backends import ON_A_LAKE, REQUIRED
from tests.conftest import SteppingClock
from tests.object_store import SECRET, ObjectStore
from tests.postgres import Postgres
from tests.resources.test_kernel import MARCH, WRITER, series
from tests.storage.lakes import lake

pytestmark = [
    *ON_A_LAKE,
    pytest.mark.skipif(
        not object_store.installed() and REQUIRED not in os.environ,
        reason="not installed: an object store (Debian's swift-proxy, -account, -container, -object; memcached)",
    ),
]

BUCKET, PASSWORD = "logs", "a-password-that-nobody-may-see"
MANY = 60
"""Keys per append: so many that the rows become a file; fewer would lie in the catalogue at first."""


@pytest.fixture(scope="module")
def objects(postgres: Postgres) -> Iterator[ObjectStore]:
    """A store with an empty bucket, and a catalogue whose address has a password."""
    with object_store.running() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv(CATALOGUE, f"{postgres.address} password={PASSWORD}")
        for name, value in server.keys.items():
            patch.setenv(name, value)
        server.make_bucket(BUCKET)
        yield server


@pytest.fixture
def storage(objects: ObjectStore, tmp_path: Path) -> Storage:
    own = lake(tmp_path.name.lower())
    return own.model_copy(update={"data": f"s3://{BUCKET}/{own.catalogue}", "endpoint": objects.endpoint})


@pytest.fixture
def open_store(tmp_path: Path, storage: Storage, clock: SteppingClock) -> Callable[[], LogStore]:
    """Another process's view of the home: nothing is remembered."""
    return lambda: LogStore(tmp_path, clock, backend=open_backend(tmp_path, storage))


def test_a_log_in_a_bucket_knows_corrections_retractions_and_what_was_believed(
    open_store: Callable[[], LogStore], objects: ObjectStore, storage: Storage
) -> None:
    assert offer(open_store(), dict.fromkeys(range(MANY), 5)).appended == MANY
    between = newest(open_store())
    assert offer(open_store(), dict.fromkeys(range(MANY), 5)).changed == 0
    corrected = offer(open_store(), dict.fromkeys(range(1, MANY), 7))
    assert (corrected.appended, corrected.retracted) == (MANY - 1, 1)
    with open_store().looking() as tx:
        assert units(tx.live(SALES_TIMESERIES)) == dict.fromkeys(range(1, MANY), 7)
        assert units(tx.live(SALES_TIMESERIES, as_of=between)) == dict.fromkeys(range(MANY), 5)
        assert tx.history(SALES_TIMESERIES).height == 2 * MANY
    assert len(parquet_files(objects, storage)) >= 2


def test_what_is_published_from_a_bucket_needs_no_bucket(
    open_store: Callable[[], LogStore], tmp_path: Path, storage: Storage
) -> None:
    offer(open_store(), dict.fromkeys(range(MANY), 5))
    with open_store().transaction() as tx:
        Hydrator(FOLDS).refresh(tx)
    published = Publisher(tmp_path, open_backend(tmp_path, storage)).publish()
    assert published is not None
    with duckdb.connect(str(tmp_path / published.directory / "mrs.duckdb"), read_only=True) as copy:
        assert copy.sql(f"SELECT count(*), sum(units) FROM {SALES_TIMESERIES.name}_live").fetchall() == [
            (MANY, Decimal(5 * MANY))
        ]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("AWS_SECRET_ACCESS_KEY", "another-key-that-nobody-may-see", "lets nobody in to .* with these keys"),
        ("AWS_ACCESS_KEY_ID", "", "not set: AWS_ACCESS_KEY_ID"),
    ],
)
def test_wrong_keys_are_refused_before_anything_is_written_and_never_shown(
    open_store: Callable[[], LogStore],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    name: str,
    value: str,
    said: str,
) -> None:
    offer(open_store(), {1: 5})
    with monkeypatch.context() as patch:
        patch.setenv(name, value)
        with pytest.raises(SettingsMistake, match=said) as raised:
            offer(open_store(), {1: 6})
        patch.setenv(name, value)
        with pytest.raises(SettingsMistake, match=said), open_store().looking():
            pass
    told = "".join([*everything_said_by(raised.value), caplog.text, *capfd.readouterr()])
    assert not [secret for secret in (SECRET, value, PASSWORD) if secret and secret in told]
    with open_store().looking() as tx:
        assert units(tx.live(SALES_TIMESERIES)) == {1: 5}


def test_a_bucket_that_is_not_there_is_named(tmp_path: Path, storage: Storage) -> None:
    nowhere = storage.model_copy(update={"data": "s3://nobody-made-this/logs"})
    with pytest.raises(SettingsMistake, match=r"no bucket 'nobody-made-this'.*Nothing was written"):
        offer(LogStore(tmp_path, backend=open_backend(tmp_path, nowhere)), {1: 5})


def test_files_are_not_looked_for_where_they_are_not(
    open_store: Callable[[], LogStore], tmp_path: Path, storage: Storage
) -> None:
    offer(open_store(), {1: 5})
    moved = storage.model_copy(update={"data": f"s3://{BUCKET}/elsewhere"})
    with pytest.raises(SettingsMistake, match="lie elsewhere"):
        offer(LogStore(tmp_path, backend=open_backend(tmp_path, moved)), {1: 6})


def test_secrets_are_redacted_where_the_engine_shows_them(tmp_path: Path, storage: Storage) -> None:
    backend = open_backend(tmp_path, storage)
    assert isinstance(backend, LakeBackend)
    with backend.reading() as connection:
        shown = str(
            [
                connection.execute(f"FROM {table}").fetchall()
                for table in ("duckdb_secrets()", "duckdb_databases()", "duckdb_settings()")
            ]
        )
    assert "redacted" in shown
    assert SECRET not in shown
    assert PASSWORD not in shown


def test_upkeep_in_a_bucket_merges_files_and_removes_what_is_nobodys(
    open_store: Callable[[], LogStore], objects: ObjectStore, tmp_path: Path, storage: Storage
) -> None:
    for value in (5, 6, 7):
        offer(open_store(), dict.fromkeys(range(MANY), value))
    with open_store().looking() as tx:
        before = tx.history(SALES_TIMESERIES)
    many = parquet_files(objects, storage)
    objects.files().copy_file(many[0], f"{many[0].rpartition('/')[0]}/left-by-a-writer-that-died.parquet")
    backend = open_backend(tmp_path, storage)
    assert isinstance(backend, LakeBackend)
    done = keep_up(backend, storage, datetime.now(UTC) + timedelta(hours=storage.keep_replaced_hours + 1))
    assert (done.merged, done.orphans) == (len(many), 1)
    assert len(parquet_files(objects, storage)) == 1
    with open_store().looking() as tx:
        assert_frame_equal(tx.history(SALES_TIMESERIES), before)


def test_an_append_during_which_the_store_fails_leaves_nothing(
    open_store: Callable[[], LogStore], objects: ObjectStore
) -> None:
    offer(open_store(), dict.fromkeys(range(MANY), 5))

    def torn() -> None:
        with open_store().transaction() as tx:
            tx.append(SALES_TIMESERIES, rows(dict.fromkeys(range(MANY), 6)), MARCH, WRITER)
            objects.stop()
            tx.append(SALES_TIMESERIES, rows(dict.fromkeys(range(MANY), 7)), MARCH, WRITER)

    try:
        with pytest.raises(StorageUnreachable, match=r"does not answer .*Nothing was written") as raised:
            torn()
        with pytest.raises(StorageUnreachable, match="does not answer"), open_store().looking():
            pass
    finally:
        objects.start()
    assert not [said for said in everything_said_by(raised.value) if SECRET in said or PASSWORD in said]
    with open_store().looking() as tx:
        assert tx.history(SALES_TIMESERIES)["units"].to_list() == [Decimal(5)] * MANY
    assert offer(open_store(), dict.fromkeys(range(MANY), 6)).appended == MANY


def test_a_catalogue_that_is_down_never_tells_the_password(
    open_store: Callable[[], LogStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CATALOGUE, f"host=127.0.0.1 port=1 user=mrs dbname=mrs password={PASSWORD}")
    with pytest.raises((MrsError, duckdb.Error)) as writing:
        offer(open_store(), {1: 5})
    with pytest.raises((MrsError, duckdb.Error)) as reading, open_store().looking():
        pass
    told = [*everything_said_by(writing.value), *everything_said_by(reading.value)]
    assert "127.0.0.1" in told[0]
    assert not [said for said in told if PASSWORD in said or SECRET in said]


def rows(sold: dict[int, int]) -> pl.DataFrame:
    """Series rows: number of the store → units, on one day."""
    return series({(f"s{number:03}", 1): float(value) for number, value in sold.items()})


def offer(store: LogStore, sold: dict[int, int]) -> Appended:
    with store.transaction() as tx:
        return tx.append(SALES_TIMESERIES, rows(sold), MARCH, WRITER)


def units(live: pl.DataFrame) -> dict[int, int]:
    return {int(store[1:]): int(value) for store, value in live.select("store_id", "units").iter_rows()}


def newest(store: LogStore) -> datetime:
    with store.looking() as tx:
        return tx.newest_write(SALES_TIMESERIES) or datetime.min.replace(tzinfo=UTC)


def everything_said_by(error: BaseException) -> list[str]:
    """An error and all that led to it, each as a log would print it."""
    said = []
    following: BaseException | None = error
    while following is not None:
        said += [str(following), repr(following.args)]
        following = following.__cause__ or following.__context__
    return said


def parquet_files(objects: ObjectStore, storage: Storage) -> list[str]:
    prefix = f"{storage.data.removeprefix('s3://')}/main/{SALES_TIMESERIES.name}"
    found = objects.files().get_file_info(fs.FileSelector(prefix, recursive=True))
    return [file.path for file in found if file.path.endswith(".parquet")]
