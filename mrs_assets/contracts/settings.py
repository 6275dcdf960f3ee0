"""Settings: what `feeds.toml` may say, with every default, as one typed object."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, ValidationError, field_validator, model_validator

from mrs_assets.contracts.alerting import Alerting
from mrs_assets.contracts.errors import SettingsMistake
from mrs_assets.contracts.execution import Execution
from mrs_assets.contracts.feeds import CONTEXT_FEEDS, FEED_DECLARATIONS
from mrs_assets.contracts.recall import Recall
from mrs_assets.contracts.resilience import Breakers, Drift, Environment, Fault, Isolation, Recovery, Replays, Retries
from mrs_assets.contracts.section import Section
from mrs_assets.contracts.service_levels import ServiceLevels
from mrs_assets.contracts.sources import DARK_AFTER_HOURS, Source, weights_fingerprint
from mrs_assets.contracts.storage import Storage

_NAME = re.compile(r"^[a-z0-9][a-z0-9_-]{0,62}$")
_GRAINS = {"d": 86_400, "h": 3_600, "m": 60}


class Retailer(Section):
    """One retailer: `[retailers.<name>]`.

    Attributes:
        timezone: IANA zone of the trading day; also of timestamps that carry no zone.
        grain: length of a series tick: `1d`, or a divisor of a day such as `1h` or `30m`.
        columns: canonical column → the retailer's own name for it.
        decimal_sign: `.` (1,234.50) or `,` (1.234,50), in numbers of CSV files.
        restatement_days: after how many days corrections are unusual; an expectation, never a limit.
        resends: what it means when a later file lacks a row that is known: `rows`, nothing, the row stands; or
            `store_days`, that it was taken back, where the file has other rows of the same store, day and source.
            Nothing is taken back by a file of which a row was refused.
        absent_sku: what it means when a store reported and a known SKU is not among its rows: `missing`
            (nobody said), or `zero` for feeds that list only what was sold.
        country, subdivision: public holidays to know about, ISO 3166 codes.
        currency: ISO 4217 code shown with money.
        reports_from: first business day to look for anomalies in; earlier days are history only.
        error_budget: largest share of broken rows with which a file is still admitted; one with more is rejected
            whole. Counts in files of 1,000 rows or more; 1 admits any.
        sources: who counts, where several do: `[retailers.<name>.sources.<source>]`.
        dark_after_hours: how long before the end of a tick a source's `last_seen_at` may lie; a zero of a source
            that was heard of less recently is missing.
    """

    timezone: str
    grain: str = "1d"
    columns: Mapping[str, str] = Field(default_factory=dict)
    decimal_sign: Literal[".", ","] = "."
    restatement_days: int = Field(default=42, ge=0)
    resends: Literal["rows", "store_days"] = "rows"
    absent_sku: Literal["missing", "zero"] = "missing"
    country: str | None = None
    subdivision: str | None = None
    currency: str | None = None
    reports_from: date | None = None
    error_budget: float = Field(default=0.01, ge=0, le=1)
    sources: Mapping[str, Source] = Field(default_factory=dict)
    dark_after_hours: float = Field(default=DARK_AFTER_HOURS, gt=0, allow_inf_nan=False)

    @field_validator("sources")
    @classmethod
    def _names_of_their_own(cls, value: Mapping[str, Source]) -> Mapping[str, Source]:
        for name in value:
            if not 1 <= len(name) <= 256 or not name.isprintable() or name.strip() != name:
                raise ValueError(f"source {name!r}: use the text of the column source, 1 to 256 printable characters")
            if name in FEED_DECLARATIONS:
                raise ValueError(f"source {name!r} has the name of a feed, whose absence means something else")
        return value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"{value!r} is not an IANA time zone such as Europe/London")
        return value

    @field_validator("grain")
    @classmethod
    def _divides_a_day(cls, value: str) -> str:
        match = re.fullmatch(r"([1-9]\d*)([dhm])", value)
        if not match or _GRAINS["d"] % (seconds := int(match[1]) * _GRAINS[match[2]]) or seconds > _GRAINS["d"]:
            raise ValueError(f"{value!r} is not 1d or a divisor of a day such as 1h or 30m")
        return value

    @property
    def zone(self) -> ZoneInfo:
        """Time zone of the trading day."""
        return ZoneInfo(self.timezone)

    @property
    def grain_length(self) -> timedelta:
        """Length of one tick."""
        return timedelta(seconds=int(self.grain[:-1]) * _GRAINS[self.grain[-1]])

    @property
    def source_weights(self) -> str | None:
        """Fingerprint of all that is declared about sources; None where nothing is."""
        return weights_fingerprint(self.sources, self.dark_after_hours)

    def source(self, name: str) -> Source:
        """What is declared about a source."""
        return self.sources.get(name, Source())

    @property
    def ticks_per_day(self) -> int:
        """Ticks in a day of 24 hours."""
        return timedelta(days=1) // self.grain_length


class ContextFeed(Section):
    """One optional feed: `[feeds.<name>]`. Being there at all is what makes it configured.

    Attributes:
        retailers: who sends it; every retailer when absent.
        columns: canonical column → the provider's own name for it.
        error_budget: as of a retailer, for this feed; the retailer's own when absent.
        late_after_days: rows of a day go without the feed when its newest file came more days before that day
            than this; without it, a feed is down only where it never said anything.
    """

    retailers: tuple[str, ...] | None = None
    columns: Mapping[str, str] = Field(default_factory=dict)
    error_budget: float | None = Field(default=None, ge=0, le=1)
    late_after_days: int | None = Field(default=None, ge=0)


class Detection(Section):
    """When a window becomes a report: `[detection]`.

    Attributes:
        fdr: false-discovery rate at which the trained classifier raises reports.
        enter_z: scan score from which a window is a report where no classifier spoke; docs/explanation/detection.md
            has its curve.
        stay_z: scan score under which a report's newest interval no longer counts as anomalous.
        candidate_z: scan score from which a window is logged as a candidate at all.
        max_window_ticks: longest window, in ticks.
        gap_ticks: quiet ticks after which a report is over; a resumption before that reopens it.
        expire_ticks: ticks without any evidence after which a report expires.
    """

    fdr: float = Field(default=0.08, gt=0, lt=1)
    enter_z: float = Field(default=4.0, gt=0)
    stay_z: float = Field(default=1.5, gt=0)
    candidate_z: float = Field(default=3.2, gt=0)
    max_window_ticks: int = Field(default=60, ge=1, le=500)
    gap_ticks: int = Field(default=2, ge=1)
    expire_ticks: int = Field(default=28, ge=1)


class AutoApproval(Section):
    """Policy that approves what nobody needs to look at: `[auto_approval]`; off by default.

    It writes ordinary edits as role `system`, so that it is seen, undone and audited like any other.
    """

    enabled: bool = False
    min_confidence: float = Field(default=0.9, ge=0, le=1)
    max_impact: float = Field(default=100.0, ge=0)


class Calendar(Section):
    """Which business days exist as partitions: `[calendar]`. Facts outside of it are dead-lettered.

    Attributes:
        first_day: first business day.
        last_day: last business day; open-ended when absent.
    """

    first_day: date = date(2015, 1, 1)
    last_day: date | None = None


class Settings(Section):
    """Everything that `feeds.toml` says, and where the system lives.

    Attributes:
        environment: `staging` allows faults on purpose; nothing else differs.
    """

    home: Path
    retailers: Mapping[str, Retailer]
    feeds: Mapping[str, ContextFeed] = Field(default_factory=dict)
    detection: Detection = Detection()
    auto_approval: AutoApproval = AutoApproval()
    calendar: Calendar = Calendar()
    storage: Storage = Storage()
    execution: Execution = Execution()
    environment: Environment = "production"
    isolation: Isolation = Isolation()
    retries: Retries = Retries()
    breakers: Breakers = Breakers()
    recovery: Recovery = Recovery()
    replays: Replays = Replays()
    alerts: Alerting = Alerting()
    slo: ServiceLevels = ServiceLevels()
    drift: Drift = Drift()
    recall: Recall = Recall()
    faults: tuple[Fault, ...] = ()

    @model_validator(mode="after")
    def _faults_are_for_staging(self) -> Settings:
        if self.faults and self.environment != "staging":
            raise ValueError('faults on purpose need environment = "staging"; this one is in production')
        return self

    @field_validator("retailers")
    @classmethod
    def _plain_names(cls, value: Mapping[str, Retailer]) -> Mapping[str, Retailer]:
        for name in value:
            if not _NAME.match(name):
                raise ValueError(f"retailer {name!r}: use lower-case letters, digits, - and _")
        return value

    @field_validator("feeds")
    @classmethod
    def _known_feeds(cls, value: Mapping[str, ContextFeed]) -> Mapping[str, ContextFeed]:
        for name in value:
            if name not in CONTEXT_FEEDS:
                raise ValueError(f"feed {name!r} is not one of {', '.join(CONTEXT_FEEDS)}")
        return value

    def configured(self, feed: str, retailer: str) -> bool:
        """Whether an optional feed is expected from a retailer."""
        section = self.feeds.get(feed)
        return section is not None and (section.retailers is None or retailer in section.retailers)

    def error_budget(self, feed: str, retailer: str) -> float:
        """Largest share of broken rows with which a file of a feed is admitted."""
        section = self.feeds.get(feed)
        own = section.error_budget if section is not None else None
        return self.retailers[retailer].error_budget if own is None else own


def load_settings(environ: Mapping[str, str] | None = None, working_directory: Path | None = None) -> Settings:
    """Read `feeds.toml` (or `MRS_FEEDS`), living in `.mrs/` (or `MRS_HOME`).

    Raises:
        SettingsMistake: the file is absent, is not TOML, or says something that is not known.
    """
    environ = os.environ if environ is None else environ
    here = working_directory or Path.cwd()
    path = here / environ.get("MRS_FEEDS", "feeds.toml")
    home = (here / environ.get("MRS_HOME", ".mrs")).resolve()
    try:
        declared: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise SettingsMistake(
            f"There is no {path}.", remedy="Write one with a [retailers.<name>] section, or set MRS_FEEDS."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsMistake(f"{path} is not valid TOML: {error}.") from None
    try:
        return Settings(home=home, **declared)
    except (ValidationError, TypeError) as error:
        problems = (
            "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            if isinstance(error, ValidationError)
            else str(error)
        )
        raise SettingsMistake(f"{path}: {problems}.") from None
