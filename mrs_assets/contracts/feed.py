"""How a feed is declared: its columns, what else they may be called, and which rows are refused and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mrs_assets.contracts.contract import Contract

Kind = Literal[
    "id", "text", "amount", "number", "instant", "day", "flag", "choice", "names", "weekdays", "clock", "uuid"
]
"""What a cell must read as.

`id`: 1 to 256 characters, none of them a control character, kept exactly but for surrounding white space.
`text`: any text up to `longest` characters. `amount`: an exact decimal of four places. `number`: a finite float.
`instant`: ISO 8601 with an offset, or local time of the retailer, or a date (its local midnight).
`day`: an ISO date, or the local day of an instant. `flag`: yes or no. `choice`: one of `choices`.
`names`: a JSON array, or text separated by `;` or `|`. `weekdays`: names, each mon … sun. `clock`: HH:MM.
"""


@dataclass(frozen=True)
class FeedColumn:
    """One column that a feed may have.

    Attributes:
        name: canonical name, that of the contract's column.
        kind: what a cell must read as.
        required: the file must have the column.
        filled: a row must have a value in it.
        synonyms: other names under which it is recognised; `feeds.toml` can add any.
        default: value where the file has no such column.
        default_when_blank: the default also stands for a blank cell.
        choices: values of a `choice`, lower case.
        longest: longest `text`, characters.
    """

    name: str
    kind: Kind
    required: bool = False
    filled: bool = False
    synonyms: tuple[str, ...] = ()
    default: str | None = None
    default_when_blank: bool = False
    choices: tuple[str, ...] = ()
    longest: int = 10_000


ANSWERS = (FeedColumn("answers_letter", "id"), FeedColumn("answered_by", "id"))
"""Columns that a file of any feed may have: the dead letter that a row answers, and who says so."""


@dataclass(frozen=True)
class AdmissionRule:
    """One reason to refuse a row whose cells all read well.

    Attributes:
        error_code: short code in the dead-letter log.
        refuses: SQL condition over the canonical columns and `business_day`; true refuses the row.
        message: what is wrong and what the sender can do about it.
    """

    error_code: str
    refuses: str
    message: str


@dataclass(frozen=True)
class Target:
    """A log that a feed's rows are written to.

    Attributes:
        contract: the log.
        only_with: column that must have a value for a row to belong to this log; None: every row does.
    """

    contract: Contract
    only_with: str | None = None


@dataclass(frozen=True)
class FeedContract:
    """One feed.

    Attributes:
        name: folder in the inbox and section in `feeds.toml`.
        columns: columns understood; others are ignored.
        targets: logs written, in order; refused rows go to the dead letters of the first.
        day_of: column whose local day is the row's business day; None: the first day of the calendar.
        days_ahead: how many days after its arrival a file may speak of.
        day_in_key: a row's key decides its business day, so that only the days in the file need to be compared.
        rules: reasons to refuse a row.
        critical: nothing can be said without it. What fails in any other feed stays in that feed.
        always: it may come from every retailer, and its absence means nothing; any other is declared in `feeds.toml`.
    """

    name: str
    columns: tuple[FeedColumn, ...]
    targets: tuple[Target, ...]
    day_of: str | None
    days_ahead: int
    day_in_key: bool = False
    rules: tuple[AdmissionRule, ...] = ()
    critical: bool = False
    always: bool = False
