"""What became of a stage: counts, reasons and failures, put together from its parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mrs_assets.boundary.computing import Computed
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.stage import Stage
from mrs_resources.kernel import Appended


@dataclass
class StageRun:
    """What one run of a stage did.

    Attributes:
        appended: per log, what each part appended.
        missing: wants that were configured and not there → the reason put on the rows.
        failures: what went wrong where the stage fell back or did without its wants.
        unexpected: rows that came back from the stage and belonged to nothing it was asked about.
        first_unexpected: the first of them, in words.
        unanswered: rows asked about that got no answer of their own.
        parts: what was computed; nothing where a replay had nothing left to do.
        picture: PNG of the most telling row.
        dry_run: in a dry run, how little it computed from.
        seconds: time spent reading, computing and appending.
    """

    appended: dict[str, list[Appended]]
    missing: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    unexpected: int = 0
    first_unexpected: str | None = None
    unanswered: int = 0
    parts: list[Scope] = field(default_factory=list)
    picture: bytes | None = None
    dry_run: str | None = None
    seconds: float = 0.0

    @classmethod
    def of(cls, stage: Stage) -> StageRun:
        """A run that did nothing yet."""
        return cls({contract.name: [] for contract in stage.writes})

    def add(self, stage: Stage, part: Scope, appended: Mapping[str, Appended], computed: Computed) -> None:
        """Count a part in that was computed."""
        self.parts.append(part)
        for name, result in appended.items():
            self.appended[name].append(result)
        self.missing |= {name: stage.wants[name].reason for name in computed.inputs.missing}
        if computed.error is not None:
            self.failures.append(f"{type(computed.error).__name__}: {computed.error}")
        self.unexpected += computed.answers.unexpected
        self.unanswered += computed.answers.unanswered
        self.first_unexpected = self.first_unexpected or computed.answers.first
        if stage.picture and self.picture is None and not computed.down:
            self.picture = stage.picture(computed.inputs, computed.answers.frames)

    def join(self, other: StageRun) -> None:
        """Count in what another run did of the same stage."""
        self.parts += other.parts
        for name, results in other.appended.items():
            self.appended[name] += results
        self.missing |= other.missing
        self.failures += other.failures
        self.unexpected += other.unexpected
        self.unanswered += other.unanswered
        self.first_unexpected = self.first_unexpected or other.first_unexpected
        self.picture = self.picture or other.picture
        self.dry_run = self.dry_run or other.dry_run
