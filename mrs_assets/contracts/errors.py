"""The one exception tree.

MrsError
├── UserMistake            the caller asked for something that cannot be done; exit code 2, no stack trace
│   ├── SettingsMistake    feeds.toml or an environment setting is wrong
│   └── UnknownName        a log, view, report or feed that does not exist
├── FeedRejected           a file cannot be read at all; it is archived and recorded as rejected
├── StageFailed            a stage could not compute its rows
├── StorageUnreachable     the warehouse's storage does not answer; another try may find it
├── WorkersUnreachable     the processes that compute do not answer; another try may find them
└── ContractBroken         our own code offered rows outside its declaration: a bug of ours
"""

from __future__ import annotations


class MrsError(Exception):
    """Base of all errors raised on purpose; `remedy` says what the reader can do about it."""

    def __init__(self, message: str, *, remedy: str | None = None, **facts: object) -> None:
        super().__init__(message if remedy is None else f"{message} {remedy}")
        self.remedy = remedy
        self.facts = facts


class UserMistake(MrsError):
    """The caller asked for something that cannot be done."""


class SettingsMistake(UserMistake):
    """A setting is missing, unknown or out of range."""


class UnknownName(UserMistake):
    """A log, view, report or feed of that name does not exist."""


class FeedRejected(MrsError):
    """A received file cannot be read at all. The raw bytes stay in the archive."""

    def __init__(self, message: str, *, code: str, remedy: str | None = None, **facts: object) -> None:
        super().__init__(message, remedy=remedy, **facts)
        self.code = code


class StageFailed(MrsError):
    """A stage could not compute its rows."""


class StorageUnreachable(MrsError, ConnectionError):
    """The storage of the warehouse does not answer. What was not committed was not written."""


class WorkersUnreachable(MrsError, ConnectionError):
    """The processes that compute parts of a stage do not answer. Parts that were done are kept."""


class ContractBroken(MrsError):
    """Our own code offered rows that its declaration forbids."""
