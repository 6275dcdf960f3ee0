"""A home directory with an inbox, for tests that send files through the real door."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.feeds import FEED_DECLARATIONS
from mrs_assets.contracts.logs.unified_sales import UNIFIED_SALES
from mrs_assets.contracts.settings import Calendar, Retailer, Settings
from mrs_resources.admission import Admitted, admit, pending_arrivals
from mrs_resources.archive import Archive
from mrs_resources.dead_letters import letters
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import LogStore
from mrs_resources.readmission import files_with_letters, readmit
from tests.conftest import SteppingClock

HEADER = "store_id,sku,ts,units,revenue"


class Door:
    """One home directory, its inbox and its warehouse."""

    def __init__(self, home: Path, **retailer: Any) -> None:
        zone = Retailer(**({"timezone": "Europe/London"} | retailer))
        self.settings = Settings(
            home=home,
            retailers={"acme": zone},
            calendar=Calendar.model_validate({"first_day": "2016-01-01"}),
        )
        self.clock = SteppingClock()
        self.archive = Archive(home)
        self.store = LogStore(home, self.clock)
        self._sent = 0

    def drop(self, content: bytes | str, feed: str = "sales", name: str | None = None) -> None:
        """Put a file into the inbox."""
        folder = self.archive.inbox / feed / "acme"
        folder.mkdir(parents=True, exist_ok=True)
        self._sent += 1
        raw = content.encode() if isinstance(content, str) else content
        (folder / (name or f"file-{self._sent:04d}")).write_bytes(raw)

    def admit(self) -> list[Admitted]:
        """Admit whatever waits, in order."""
        self.archive.collect(self.settings, self.clock)
        with self.store.transaction() as tx:
            waiting = pending_arrivals(tx, self.archive)
        admitted = []
        for arrival in waiting:
            with self.store.transaction() as tx:
                declared = FEED_DECLARATIONS[arrival.feed]
                admitted.append(admit(tx, self.archive, arrival, self.settings, declared, Provenance("test", "1")))
        return admitted

    def send(self, content: bytes | str, feed: str = "sales") -> Admitted:
        """Drop one file and admit it."""
        self.drop(content, feed)
        (admitted,) = self.admit()
        return admitted

    def configure(self, **retailer: Any) -> None:
        """Say something else of the retailer from now on, as a change of feeds.toml does."""
        changed = self.settings.retailers["acme"].model_copy(update=retailer)
        self.settings = self.settings.model_copy(update={"retailers": {"acme": changed}})

    def retry(self, **which: str) -> list[Admitted]:
        """Read files with open letters again under the present settings."""
        with self.store.transaction() as tx:
            chosen = files_with_letters(tx, **which)
        again = []
        for arrival in chosen:
            with self.store.transaction() as tx:
                told = Provenance("test", "1")
                again.append(readmit(tx, self.archive, arrival, self.settings, FEED_DECLARATIONS, "ann", told))
        return again

    def states(self) -> dict[str, str]:
        """Error code and row → state, of the letters of every log."""
        with self.store.transaction() as tx:
            found = letters(tx)
        return {f"{code} {row}": state for code, row, state in found["error_code", "source_row", "state"].rows()}

    def live(self, contract: Contract = UNIFIED_SALES) -> pl.DataFrame:
        """What is true now."""
        with self.store.transaction() as tx:
            return tx.live(contract)

    def letters(self, contract: Contract = UNIFIED_SALES) -> pl.DataFrame:
        """Dead letters, by file and row."""
        with self.store.transaction() as tx:
            tx.ensure(contract)
            return tx.query(f"SELECT * FROM {contract.name}_errors ORDER BY source, source_row, error_code")

    def written(self) -> int:
        """Appends made so far, to any log."""
        with self.store.transaction() as tx:
            return int(tx.query("SELECT count(*) AS n FROM append_batches")["n"][0])

    def codes(self) -> list[str]:
        """Codes of the dead letters of the sales feed."""
        return sorted(self.letters()["error_code"].to_list())


def csv(rows: Iterable[Sequence[object]], header: str = HEADER) -> str:
    """Rows as CSV without any quoting."""
    return "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n"
