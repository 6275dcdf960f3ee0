"""`mrs errors`: dead letters counted, shown, retried, fixed and dismissed."""

from __future__ import annotations

import getpass
from contextlib import suppress
from typing import Annotated, Any

import polars as pl
import typer
from rich.markup import escape
from typer.core import TyperGroup

from mrs_assets import __version__
from mrs_assets.cli.output import Format, print_rows, print_table, say
from mrs_assets.cli.session import open_settings
from mrs_assets.contracts.errors import UnknownName, UserMistake
from mrs_assets.contracts.feeds import FEED_DECLARATIONS
from mrs_assets.contracts.logs.arrivals import ARRIVALS
from mrs_assets.contracts.logs.catalogue import find
from mrs_assets.contracts.settings import Settings, load_settings
from mrs_assets.health.companion import HealthCompanion
from mrs_assets.hydration.folds import FOLDS
from mrs_resources.admission import Admitted
from mrs_resources.admission_review import CONFLICT
from mrs_resources.archive import Arrival
from mrs_resources.dead_letters import OPEN, dismiss, letters
from mrs_resources.kernel import Provenance
from mrs_resources.letter_fix import fix_of, what_is_still_wrong
from mrs_resources.reader import SnapshotReader
from mrs_resources.readmission import files_with_letters, readmit

LETTERS_IN_A_TABLE = 50
LETTER_COLUMNS = ("letter_id", "source", "source_row", "raw_payload", "error_code", "error", "state")
LONGEST_RAW_TEXT = 300
"""A table shows the beginning; the other formats show all of it."""


class ListsByDefault(TyperGroup):
    """A group whose first command is meant where no command is named: `mrs errors unified_sales_data`."""

    default_command = "list"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command's name in where it was left out."""
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = [self.default_command, *args]
        return super().parse_args(ctx, args)


errors_app = typer.Typer(cls=ListsByDefault, help="Dead letters: rows that were refused. `list` is meant unless said.")

Actor = Annotated[str | None, typer.Option(help="Who acts; your login name by default.")]
Code = Annotated[str | None, typer.Option(help="Only this error code.")]
Sender = Annotated[str | None, typer.Option(help="Only this retailer.")]


@errors_app.command("list")
def list_errors(
    log: Annotated[str | None, typer.Argument(help="A log's name or code: its letters one by one.")] = None,
    code: Code = None,
    retailer: Sender = None,
    rows: Annotated[bool, typer.Option("--rows", help="One by one, of every log.")] = False,
    only_open: Annotated[bool, typer.Option("--open", help="Only those that nobody has resolved.")] = False,
    limit: Annotated[int | None, typer.Option(help="At most so many letters.", min=0)] = None,
    form: Annotated[Format, typer.Option("--format", help="How to print the rows.")] = Format.table,
) -> None:
    """Count dead letters by log, retailer and code; or show those of one log with their raw text and the reason."""
    reader = SnapshotReader(load_settings().home, FOLDS)
    name = find(log.removesuffix("_errors")).name if log else None
    single = rows or name is not None
    found = reader.dead_letters(log=name, code=code, retailer=retailer, only_open=only_open, grouped=not single)
    if found.is_empty():
        say("No dead letters.")
    if limit is None and single and form is Format.table:
        limit = LETTERS_IN_A_TABLE
    if limit is not None and found.height > limit:
        say(f"{limit:,} of {found.height:,} letters; --limit shows more, --open, --code and --retailer choose.")
        found = found.head(limit)
    if form is not Format.table:
        print_rows(found, form)
    elif not found.is_empty():
        print_table(_for_people(found, single))


@errors_app.command()
def retry(
    file: Annotated[str | None, typer.Option(help="Only the file whose hash begins so.")] = None,
    code: Code = None,
    retailer: Sender = None,
    actor: Actor = None,
) -> None:
    """Read files with open letters again under today's feeds.toml; what is good now comes in."""
    settings, warehouse = open_settings()
    with warehouse.store.looking() as tx:
        chosen = files_with_letters(tx, file=file, code=code, retailer=retailer)
    known = [a for a in chosen if a.retailer in settings.retailers and a.feed in FEED_DECLARATIONS]
    if not known:
        raise UserMistake("No file with an open letter is meant by that.", remedy="`mrs errors --open` lists letters.")
    done = []
    for arrival in known:
        with warehouse.store.transaction() as tx:
            provenance = Provenance("mrs errors retry", __version__)
            who = actor or getpass.getuser()
            done.append(readmit(tx, warehouse.archive, arrival, settings, FEED_DECLARATIONS, who, provenance))
    warehouse.publisher.publish(HealthCompanion(settings))
    print_table(pl.DataFrame([_in_words(admitted) for admitted in done]), title="Read again")
    for admitted in done:
        if admitted.reason:
            say(f"[yellow]{escape(admitted.arrival.file_name)}: {escape(admitted.reason)}[/yellow]")
    if any(admitted.accepted for admitted in done):
        say("`mrs tick` recomputes what these rows touch.")


@errors_app.command()
def fix(
    letter_id: Annotated[str, typer.Argument(help="A dead letter (DL-…).")],
    values: Annotated[
        list[str] | None, typer.Option("--set", help="column=value, as often as needed; `column=` leaves it blank.")
    ] = None,
    actor: Actor = None,
) -> None:
    """Send the refused row again with other values. It goes to the inbox; the next tick admits it."""
    settings, warehouse = open_settings()
    letter = _open_letter(settings, letter_id)
    if not values and letter["error_code"] != CONFLICT:
        raise UserMistake("Nothing was corrected.", remedy="Say --set column=value.")
    arrival = _arrival_of(settings, letter)
    feed, archive, now = FEED_DECLARATIONS[arrival.feed], warehouse.archive, warehouse.clock()
    who = actor or getpass.getuser()
    made = fix_of(letter, _values(values or []), archive, arrival, settings, feed, who)
    folder = archive.inbox / arrival.feed / arrival.retailer
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{made.file_name}.part"
    unfinished.write_bytes(made.content)
    wrong = what_is_still_wrong(unfinished, archive, arrival, settings, feed, now)
    if wrong is not None:
        unfinished.unlink()
        raise UserMistake(f"The row would be refused again. {wrong}", remedy="Nothing was sent.")
    unfinished.replace(folder / made.file_name)
    say(f"{escape(made.file_name)} waits in the inbox; `mrs tick` admits it and resolves the letter.")


@errors_app.command("dismiss")
def dismiss_letters(
    letter_ids: Annotated[list[str], typer.Argument(help="Dead letters (DL-…).")],
    reason: Annotated[str, typer.Option(help="Why nobody has to look at them any more.")],
    actor: Actor = None,
) -> None:
    """Set letters aside for good. They stay in the log, with who dismissed them and why."""
    settings, warehouse = open_settings()
    if not reason.strip():
        raise UserMistake("A dismissal needs a reason.")
    with warehouse.store.transaction() as tx:
        found = letters(tx, "list_contains($ids, letter_id)", {"ids": letter_ids}, states=(OPEN,))
        unknown = sorted(set(letter_ids) - set(found["letter_id"]))
        if unknown:
            raise UnknownName(f"There is no open letter {', '.join(unknown)}.", remedy="`mrs errors --rows --open`.")
        dismiss(tx, found, actor or getpass.getuser(), reason.strip(), Provenance("mrs errors dismiss", __version__))
    warehouse.publisher.publish(HealthCompanion(settings))
    say(f"{found.height} dismissed.")


def tell_open_letters(settings: Settings) -> None:
    """Say how many letters wait, where any does."""
    with suppress(UserMistake):  # nothing was ever published
        waiting = SnapshotReader(settings.home, FOLDS).dead_letters(only_open=True, grouped=True)["open"].sum()
        if waiting:
            say(f"[yellow]{waiting:,} dead letters wait: `mrs errors`[/yellow]")


def _for_people(found: pl.DataFrame, single: bool) -> pl.DataFrame:
    if not single:
        return found
    raw = pl.col("raw_payload")
    longer = raw.str.len_chars() > LONGEST_RAW_TEXT
    return found.with_columns(pl.when(longer).then(raw.str.head(LONGEST_RAW_TEXT) + "…").otherwise(raw)).select(
        LETTER_COLUMNS
    )


def _in_words(admitted: Admitted) -> dict[str, Any]:
    return {
        "file": f"{admitted.arrival.file_name} ({admitted.arrival.file_hash[:12]})",
        "decision": admitted.decision,
        "accepted": admitted.accepted,
        "known already": admitted.duplicate,
        "still refused": admitted.dead_lettered,
        "letters resolved": admitted.resolved,
    }


def _values(pairs: list[str]) -> dict[str, str]:
    values = {}
    for pair in pairs:
        column, equals, value = pair.partition("=")
        if not equals or not column.strip():
            raise UserMistake(f"{pair!r} is not column=value.")
        values[column.strip()] = value
    return values


def _open_letter(settings: Settings, letter_id: str) -> dict[str, Any]:
    found = SnapshotReader(settings.home, FOLDS).dead_letters(letter_id=letter_id)
    if found.is_empty():
        raise UnknownName(f"There is no letter {letter_id!r}.", remedy="`mrs errors --rows` lists them.")
    letter = found.row(0, named=True)
    if letter["state"] != OPEN:
        raise UserMistake(f"{letter_id} is {letter['state']}, by {letter['resolved_by']}: {letter['resolved_because']}")
    return letter


def _arrival_of(settings: Settings, letter: dict[str, Any]) -> Arrival:
    """The file that a letter is about.

    Raises:
        UserMistake: it is about a whole file, or about a row of our own.
    """
    feed, _, rest = str(letter["source"] or "").partition("/")
    retailer, _, begin = rest.partition("/")
    if letter["log"] == ARRIVALS.name:
        raise UserMistake("The file was rejected whole.", remedy=f"`mrs errors retry --file {begin}` reads it again.")
    if feed not in FEED_DECLARATIONS or retailer not in settings.retailers:
        raise UserMistake(
            f"{letter['letter_id']} is no row of a file.", remedy="Only a retailer's row can be sent anew."
        )
    accounts = SnapshotReader(settings.home, FOLDS).show(ARRIVALS.name, live=True)
    account = accounts.filter(
        pl.col("feed") == feed, pl.col("retailer") == retailer, pl.col("file_hash").str.starts_with(begin)
    ).row(0, named=True)
    known = {name: account[name] for name in ("feed", "retailer", "file_hash", "file_name", "byte_size", "received_at")}
    return Arrival(sequence=0, **known)
