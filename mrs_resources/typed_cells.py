"""From cells as text to typed values, as SQL: one expression per column, and what is wrong where one does not read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mrs_assets.contracts.feed import FeedColumn
from mrs_resources.engine import text_literal

_BLANKS = " \t\r\n\u00a0\ufeff"
_BLANK_ENDS = r"^[\s\x{a0}\x{feff}]|[\s\x{a0}\x{feff}]$"
_CONTROL = r"[\x00-\x1f\x7f-\x9f]"
_DAY = r"\d{4}-\d{2}-\d{2}"
_INSTANT = rf"{_DAY}([T ]\d{{2}}:\d{{2}}(:\d{{2}}(\.\d{{1,9}})?)?( ?(Z|[+-]\d{{2}}(:?\d{{2}})?))?)?"
_POINT_GROUPED = r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?"
_COMMA_BOTH_SIGNS = r"[+-]?\d{1,3}(\.\d{3})+,\d+"
_COMMA_GROUPED = r"[+-]?(\d{1,3}(\.\d{3})+|\d*)(,\d+)?"
_POINT_BOTH_SIGNS = r"[+-]?\d{1,3}(,\d{3})+\.\d+"
_NOT_FINITE = r"[+-]?(nan|inf|infinity)"
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class Problem:
    """What can be wrong with a row.

    Attributes:
        code: short code in the dead-letter log.
        condition: SQL; true where it is wrong.
        message: SQL of what to tell the sender.
    """

    code: str
    condition: str
    message: str


@dataclass(frozen=True)
class TypedCell:
    """A column as SQL.

    Attributes:
        value: its value, over the trimmed text.
        problems: what can be wrong, over the trimmed text and the column of that value.
    """

    value: str
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Reading:
    """How cells of one sender read.

    Attributes:
        timezone: IANA zone of times without an offset.
        decimal_sign: `.` or `,`.
    """

    timezone: str
    decimal_sign: str


SQL_TYPE_OF: dict[str, str] = {
    "id": "VARCHAR",
    "text": "VARCHAR",
    "uuid": "VARCHAR",
    "amount": "DECIMAL(18, 4)",
    "number": "DOUBLE",
    "instant": "TIMESTAMPTZ",
    "day": "DATE",
    "flag": "BOOLEAN",
    "choice": "VARCHAR",
    "names": "VARCHAR[]",
    "weekdays": "VARCHAR[]",
    "clock": "VARCHAR",
}
"""Kind of a column → type of its values."""


def trimmed(cell: str) -> str:
    """SQL: a cell without surrounding white space; blank is NULL."""
    return f"CASE WHEN regexp_matches({cell}, '{_BLANK_ENDS}') THEN {_strip(cell)} ELSE nullif({cell}, '') END"


def _strip(cell: str) -> str:
    return f"nullif(trim({cell}, {text_literal(_BLANKS)}), '')"


def typed_cell(column: FeedColumn, text: str, name: str, reading: Reading) -> TypedCell:
    """A column's typed value and problems.

    Args:
        column: what the cell must read as.
        text: SQL of the trimmed text.
        name: the file's name for the column, for messages.
        reading: how the sender writes times and numbers.
    """
    cell = _KINDS[column.kind](column, text, name, reading)
    problems = list(cell.problems)
    if column.filled:
        problems.insert(0, _problem(f"empty_{column.kind}", f"{text} IS NULL", f"{name} is empty: send a value."))
    return TypedCell(cell.value, tuple(problems))


def instant_sql(text: str, timezone: str) -> str:
    """SQL: an ISO 8601 text as TIMESTAMPTZ; NULL where it is not one.

    Without an offset it is local time. A time that the clocks skip reads as the moment when they have moved on; a time
    that they repeat reads as the second of the two.
    """
    zoned = f"length({text}) > 16 AND regexp_matches({text}, '(Z|[+-]\\d{{2}}(:?\\d{{2}})?)$')"
    in_full = (
        f"CASE WHEN substr({text}, 17, 1) = ':' THEN {text} ELSE left({text}, 16) || ':00' || substr({text}, 17) END"
    )
    local = f"timezone({text_literal(timezone)}, TRY_CAST({text} AS TIMESTAMP))"
    return (
        f"CASE WHEN NOT regexp_full_match({text}, '{_INSTANT}') THEN NULL "
        f"WHEN {zoned} THEN TRY_CAST({in_full} AS TIMESTAMPTZ) ELSE {local} END"
    )


def local_day_sql(text: str, instant: str, timezone: str) -> str:
    """SQL: the local day of an instant that was read from a text; of a date, that date."""
    local = f"CAST(timezone({text_literal(timezone)}, {instant}) AS DATE)"
    return f"CASE WHEN length({text}) = 10 THEN TRY_CAST({text} AS DATE) ELSE {local} END"


def _problem(code: str, condition: str, message: str, value: str | None = None) -> Problem:
    told = text_literal(message)
    if value is not None:
        told = f"replace({told}, '{{}}', left(coalesce({value}, ''), 80))"
    return Problem(code, condition, told)


def _unread(code: str, column: FeedColumn, text: str, message: str) -> Problem:
    return _problem(code, _is_unread(column, text), message, text)


def _is_unread(column: FeedColumn, text: str) -> str:
    return f'{text} IS NOT NULL AND "{column.name}" IS NULL'


def _id(_: FeedColumn, text: str, name: str, __: Reading) -> TypedCell:
    return TypedCell(
        text,
        (
            _problem("id_too_long", f"length({text}) > 256", f"{name} is longer than 256 characters: shorten it."),
            _problem(
                "control_characters",
                f"regexp_matches({text}, '{_CONTROL}')",
                f"{name} holds control characters such as a line break: remove them.",
            ),
        ),
    )


def _text(column: FeedColumn, text: str, name: str, _: Reading) -> TypedCell:
    too_long = f"{name} is longer than {column.longest} characters: shorten it."
    return TypedCell(text, (_problem("text_too_long", f"length({text}) > {column.longest}", too_long),))


def _uuid(column: FeedColumn, text: str, name: str, _: Reading) -> TypedCell:
    value = f"CAST(TRY_CAST({text} AS UUID) AS VARCHAR)"
    return TypedCell(value, (_unread("not_a_uuid", column, text, f"{name} is {{}}: send a UUID."),))


def _decimal_text(text: str, sign: str) -> str:
    """SQL: a number with its group separators taken out and a decimal point; NULL where that would be a guess."""
    without = {
        ",": f"replace({text}, ',', '')",
        ".": f"replace(replace({text}, '.', ''), ',', '.')",
    }
    if sign == ".":
        return (
            f"CASE WHEN NOT contains({text}, ',') THEN {text} "
            f"WHEN regexp_full_match({text}, '{_POINT_GROUPED}') THEN {without[',']} "
            f"WHEN regexp_full_match({text}, '{_COMMA_BOTH_SIGNS}') THEN {without['.']} END"
        )
    return (
        f"CASE WHEN regexp_full_match({text}, '{_COMMA_GROUPED}') THEN {without['.']} "
        f"WHEN regexp_full_match({text}, '{_POINT_BOTH_SIGNS}') THEN {without[',']} "
        f"WHEN NOT contains({text}, ',') AND NOT contains({text}, '.') THEN {text} END"
    )


def _amount(column: FeedColumn, text: str, name: str, reading: Reading) -> TypedCell:
    plain = _decimal_text(text, reading.decimal_sign)
    value = f"TRY_CAST({plain} AS DECIMAL(18, 4))"
    large = f"TRY_CAST({plain} AS DOUBLE) IS NOT NULL"
    unread = _is_unread(column, text)
    return TypedCell(
        value,
        (
            _problem(
                "not_finite",
                f"{unread} AND regexp_full_match({text}, '{_NOT_FINITE}', 'i')",
                f"{name} is {{}}: send a number, or leave it empty when there is none.",
                text,
            ),
            _problem(
                "number_out_of_range", f"{unread} AND {large}", f"{name} is {{}}: send a number within ± 10^14.", text
            ),
            _problem(
                "not_a_number",
                unread,
                f"{name} is {{}}: send a number with a decimal {'point' if reading.decimal_sign == '.' else 'comma'}, "
                "or set decimal_sign in feeds.toml.",
                text,
            ),
        ),
    )


def _number(column: FeedColumn, text: str, name: str, reading: Reading) -> TypedCell:
    read = f"TRY_CAST({_decimal_text(text, reading.decimal_sign)} AS DOUBLE)"
    value = f"(round({read}, 6) + 0.0)"
    return TypedCell(
        value,
        (
            _problem("not_finite", f'NOT isfinite("{column.name}")', f"{name} is {{}}: send a finite number.", text),
            _unread("not_a_number", column, text, f"{name} is {{}}: send a number."),
        ),
    )


def _instant(column: FeedColumn, text: str, name: str, reading: Reading) -> TypedCell:
    value = instant_sql(text, reading.timezone)
    remedy = "send ISO 8601, such as 2024-03-05, 2024-03-05 14:30:00 (local) or 2024-03-05T14:30:00Z."
    return TypedCell(value, (_unread("bad_timestamp", column, text, f"{name} is {{}}: {remedy}"),))


def _day(column: FeedColumn, text: str, name: str, reading: Reading) -> TypedCell:
    instant = instant_sql(text, reading.timezone)
    value = f"CASE WHEN {instant} IS NOT NULL THEN {local_day_sql(text, instant, reading.timezone)} END"
    return TypedCell(value, (_unread("bad_day", column, text, f"{name} is {{}}: send a date such as 2024-03-05."),))


def _one_of(text: str, choices: tuple[str, ...]) -> str:
    """SQL: whether a text is one of some, in any case. `IN` is planned as a join, which loses the order of the rows."""
    listed = ", ".join(text_literal(choice) for choice in choices)
    return f"list_contains([{listed}], lower({text}))"


def _flag(column: FeedColumn, text: str, name: str, _: Reading) -> TypedCell:
    value = (
        f"CASE WHEN {_one_of(text, ('true', 't', 'yes', 'y', '1', '1.0'))} THEN true "
        f"WHEN {_one_of(text, ('false', 'f', 'no', 'n', '0', '0.0'))} THEN false END"
    )
    return TypedCell(value, (_unread("not_a_boolean", column, text, f"{name} is {{}}: send true or false."),))


def _choice(column: FeedColumn, text: str, name: str, _: Reading) -> TypedCell:
    value = f"CASE WHEN {_one_of(text, column.choices)} THEN lower({text}) END"
    remedy = f"send one of {', '.join(column.choices)}."
    return TypedCell(value, (_unread(f"unknown_{column.name}", column, text, f"{name} is {{}}: {remedy}"),))


def _list_sql(text: str) -> str:
    array = f"CASE WHEN json_valid({text}) THEN TRY_CAST({text} AS JSON) END"
    as_json = f"TRY_CAST(from_json({array}, '[\"VARCHAR\"]') AS VARCHAR[])"
    split = f"string_split(replace({text}, '|', ';'), ';')"
    items = f"CASE WHEN left({text}, 1) = '[' THEN {as_json} ELSE {split} END"
    return f"list_sort(list_distinct([trim(i) FOR i IN ({items}) IF trim(i) <> '']))"


def _names(column: FeedColumn, text: str, name: str, _: Reading) -> TypedCell:
    value = _list_sql(text)
    return TypedCell(value, (_unread("bad_list", column, text, f"{name} is {{}}: send a JSON array, or a;b;c."),))


def _weekdays(column: FeedColumn, text: str, name: str, _: Reading) -> TypedCell:
    value = _list_sql(f"lower({text})")
    known = ", ".join(text_literal(day) for day in WEEKDAYS)
    bad = f'{text} IS NOT NULL AND ("{column.name}" IS NULL OR NOT list_has_all([{known}], "{column.name}"))'
    return TypedCell(value, (_problem("bad_weekdays", bad, f"{name} is {{}}: send mon;tue;… of mon to sun.", text),))


def _clock(column: FeedColumn, text: str, name: str, _: Reading) -> TypedCell:
    value = (
        f"CASE WHEN regexp_full_match({text}, '(([01]?\\d|2[0-3]):[0-5]\\d|24:00)(:00)?') "
        f"THEN lpad(regexp_extract({text}, '^\\d+:\\d\\d'), 5, '0') END"
    )
    return TypedCell(value, (_unread("bad_clock", column, text, f"{name} is {{}}: send a local time such as 08:30."),))


_KINDS: dict[str, Callable[[FeedColumn, str, str, Reading], TypedCell]] = {
    "id": _id,
    "text": _text,
    "uuid": _uuid,
    "amount": _amount,
    "number": _number,
    "instant": _instant,
    "day": _day,
    "flag": _flag,
    "choice": _choice,
    "names": _names,
    "weekdays": _weekdays,
    "clock": _clock,
}
