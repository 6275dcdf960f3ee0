"""Judges a world at its end: against a clean build from what it came to, and against the naive model."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from mrs_assets.contracts.logs.arrivals import ARRIVALS
from mrs_assets.contracts.logs.cohorted import COHORTED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.edits import USER_EDITS, USER_EVENT_EDITS
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.logs.unified_sales import UNIFIED_SALES
from mrs_assets.contracts.views import MINORITY_REPORTS, VIEWS
from mrs_assets.verification.comparison import COMPARED, SetApart, differences
from mrs_assets.verification.legitimate import RECALLED, SET_BY_EDITS, SET_BY_RECALL, SET_BY_REPORT_EDITS, recalled
from mrs_resources.log_store import FIRST_RUN
from tests.histories.driver import Home
from tests.histories.naive import Word, undone_by, verdict
from tests.histories.start import MORNING, ZONES, Start
from tests.histories.world import World, close

WORDS = (USER_EDITS, USER_EVENT_EDITS)
SET_AS_SAID = ("final_cause", "cluster_name", "report_group_id")
STATE = {log.name for log in COMPARED} - {log.name for log in WORDS} - {ARRIVALS.name} | {view.name for view in VIEWS}


def unlike_a_clean_build(world: World, start: Start, folder: Path) -> Iterator[str]:
    """How the world differs from a home that was sent nothing but what it came to, once, and ticked once."""
    clean = start.open("blank", folder, MORNING + timedelta(days=30))
    try:
        _send_what_it_came_to(world, clean)
        done = clean.tick()
        assert not done.failed, done.failed
        twice = [_spoken_of_twice(world), _put_into_a_former_event(world)]
        apart = {name: [*twice, *_recalled(world.home, clean)] for name in (FINALISED.name, MINORITY_REPORTS.name)}
        told = differences(clean.warehouse.store, FIRST_RUN, world.home.warehouse.store, FIRST_RUN, apart)
        for change in told:
            if change.dataset in STATE and not change.is_none:
                counts = f"{change.missing} missing, {change.unexpected} unexpected, {change.changed} changed"
                yield f"{change.dataset}: {counts}: {' | '.join(change.examples)}"
    finally:
        close(clean)


def _recalled(*homes: Home) -> Iterator[SetApart]:
    """Reports that either side looked at again, each for reasons of its own time."""
    for home in homes:
        with home.warehouse.store.transaction() as tx:
            yield SetApart(RECALLED, recalled(tx), SET_BY_RECALL)


def _send_what_it_came_to(world: World, clean: Home) -> None:
    naive = world.naive
    for retailer in sorted(ZONES):
        facts = [(fact, units) for fact, units in sorted(naive.facts.items()) if fact[0] == retailer]
        lines = [f"{store},{sku},{day},{units or ''}\n" for (_, store, sku, day), units in facts]
        clean.send("sales", retailer, "store_id,sku,ts,units\n" + "".join(lines))
        signals = [signal for (whose, _), signal in sorted(naive.signals.items()) if whose == retailer]
        if signals:
            clean.send("contextual_events", retailer, _lines(signals))
        now = _addressed_now(world)
        words = [word | now.get(word["annotation_id"], {}) for _, whose, word in world.words if whose == retailer]
        if words:
            clean.send("edits", retailer, _lines(words))


def _lines(rows: list[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def _addressed_now(world: World) -> dict[str, Word]:
    """Words about what a correction replaced, as they would be said today: about what replaced it.

    A clean build has never heard of the former identity; only a history knows whose successor a report or event is.
    """
    successor = {former: current for current, former in _replacements(world)}
    found: dict[str, Word] = {}
    for _, _, word in world.words:
        for subject in ("report_id", "report_group_id"):
            if (now := word.get(subject)) in successor:
                been: set[str] = set()
                while now in successor and now not in been:  # two that are gone may each have replaced the other
                    been.add(now)
                    now = successor[now]
                found[word["annotation_id"]] = {subject: now}
    return found


def _spoken_of_twice(world: World) -> SetApart:
    """Reports whose words hold for another one too and can be said of one only: both replaced the same, or it is back.

    A clean build is told of one of them.
    """
    replacements = _ever_replaced(world)
    back = pl.col("former").is_in(_alive(world))
    twice = replacements.filter(pl.col("former").is_duplicated() | back)
    return SetApart("twice", twice.select("report_id").unique(), SET_BY_REPORT_EDITS)


def _put_into_a_former_event(world: World) -> SetApart:
    """Reports that a person put there: they hear what was said of it, as does the event that its other reports went to.

    A clean build is told of the latter.
    """
    with world.home.warehouse.store.transaction() as tx:
        there = tx.query(
            "SELECT report_id FROM minority_reports JOIN minority_events USING (report_group_id) "
            "WHERE source_used_group_id = 'ui' AND superseded_by IS NOT NULL"
        )
    return SetApart("former event", there, SET_BY_EDITS)


def _replacements(world: World) -> list[tuple[str, str]]:
    """Report or event that is believed in now, and the former one; of several the last by name."""
    alive = _alive(world)
    reports = _ever_replaced(world).filter(~pl.col("former").is_in(alive))
    current = reports.sort(pl.col("report_id").is_in(alive), "report_id")
    with world.home.warehouse.store.transaction() as tx:
        events = tx.query(
            "SELECT superseded_by, report_group_id FROM minority_events WHERE superseded_by IS NOT NULL"
        ).rows()
    return [*current.rows(), *events]


def _ever_replaced(world: World) -> pl.DataFrame:
    """Every report that ever named a former one: report_id, former."""
    with world.home.warehouse.store.transaction() as tx:
        told = tx.history(DETECTED).filter(~pl.col("is_retracted")).drop_nulls("supersedes")
    return told.select("report_id", former="supersedes").unique().sort("report_id", "former")


def _alive(world: World) -> list[str]:
    with world.home.warehouse.store.transaction() as tx:
        return tx.live(DETECTED)["report_id"].unique().sort().to_list()


def unlike_the_naive_model(world: World) -> Iterator[str]:
    """How the world differs from what the files and words come to by plain folding."""
    yield from _facts(world)
    yield from _series(world)
    yield from _words(world)


def _facts(world: World) -> Iterator[str]:
    expected = {fact: None if units is None else float(units) for fact, units in world.naive.facts.items()}
    with world.home.warehouse.store.transaction() as tx:
        live = tx.live(UNIFIED_SALES)
    found = {
        (r["retailer"], r["store_id"], r["sku"], str(r["business_day"])): _number(r["units"]) for r in live.to_dicts()
    }
    yield from _unlike("fact", expected, found)
    if live.height != len(found):
        yield f"{live.height} live facts of {len(found)} keys"


def _series(world: World) -> Iterator[str]:
    """Every fact's units are its day's, and no day has units that nobody told."""
    expected = {fact: float(units) for fact, units in world.naive.facts.items() if units is not None}
    with world.home.warehouse.store.transaction() as tx:
        rows = tx.live(SALES_TIMESERIES).to_dicts()
    found = {(r["retailer"], r["store_id"], r["sku"], str(r["business_day"])): _number(r["units"]) for r in rows}
    yield from _unlike("series", expected, {key: units for key, units in found.items() if units is not None})
    newest: dict[str, str] = {}
    for retailer, _, _, day in world.naive.facts:
        newest[retailer] = max(newest.get(retailer, day), day)
    for retailer, store, sku, day in world.naive.facts:  # no gap: a row for every day from the first fact on
        at, last = date.fromisoformat(day), date.fromisoformat(newest[retailer])
        if at < last and (retailer, store, sku, str(at + timedelta(days=1))) not in found:
            yield f"series {retailer} {store} {sku} has no row after {day}"


def _unlike(what: str, expected: dict[Any, Any], found: dict[Any, Any]) -> Iterator[str]:
    for key in sorted({*expected, *found}):
        if expected.get(key, "none") != found.get(key, "none"):
            yield f"{what} {key}: expected {expected.get(key, 'none')}, found {found.get(key, 'none')}"


def _number(units: Any) -> float | None:
    return None if units is None else float(units)


def _words(world: World) -> Iterator[str]:
    """Every word is in its log once as it was said, and in force on the record of what it is about."""
    for contract, subject in ((USER_EDITS, "report_id"), (USER_EVENT_EDITS, "report_group_id")):
        with world.home.warehouse.store.transaction() as tx:
            rows = tx.live(contract).select("annotation_id", subject, "action", "field", "value", "undoes").to_dicts()
        sent = {key: word for key, word in world.naive.words.items() if subject in word}
        kept = {row["annotation_id"]: row for row in rows}
        for key in sorted({*sent, *kept}):
            said = {name: sent.get(key, {}).get(name) for name in (subject, "action", "field", "value", "undoes")}
            if kept.get(key) != {"annotation_id": key, **said}:
                yield f"word {key}: said {said}, kept {kept.get(key)}"
    yield from _verdicts(world)


def _verdicts(world: World) -> Iterator[str]:
    with world.home.warehouse.store.transaction() as tx:
        records = {row["report_id"]: row for row in tx.live(FINALISED).to_dicts()}
    now = _addressed_now(world)
    about: dict[str, list[Word]] = {}
    for key, word in world.naive.words.items():
        if "report_id" in word:
            about.setdefault(str(now.get(key, word)["report_id"]), []).append(word)
    replaced = {*_ever_replaced(world).iter_rows()}
    each_other = {report: former for report, former in replaced if (former, report) in replaced}
    for report, own in sorted(about.items()):
        words = [*own, *about.get(each_other.get(report, ""), ())]
        record, said = records.get(report), verdict(words)
        if record is None:
            yield f"{report} was spoken of and has no record"
            continue
        expected: dict[str, Any] = {}
        if said.decision or said.reopened:
            expected["final_decision"] = said.decision
        if said.evidence:
            expected["evidence_count"] = said.evidence
        expected |= {name: value for name, value in said.fields.items() if name in SET_AS_SAID}
        wrong = {name: (value, record[name]) for name, value in expected.items() if record[name] != value}
        if wrong:
            yield f"{report}: expected and found {wrong}"
        undone = undone_by(words)
        unusable = any(w["field"] == "window_start" and w["annotation_id"] not in undone for w in words)
        if unusable and "unusable_window_start" not in (record["edit_issues"] or []):
            yield f"{report}: nobody is told that its window_start is unusable"


def what_happened(world: World) -> Counter[str]:
    """Seeds in which something happened: what a generator must not fail to bring about."""
    with world.home.warehouse.store.transaction() as tx:
        ever, live = tx.history(DETECTED), tx.live(DETECTED)
        events = tx.live(COHORTED)
        degraded = set(tx.query(f"SELECT DISTINCT store_id FROM {DETECTED.name} WHERE is_degraded")["store_id"])
    seed_of = {story.store: story.seed for story in world.stories}
    place = {row["report_id"]: (row["retailer"], row["store_id"], row["sku"]) for row in ever.to_dicts()}
    now = set(live["report_id"])
    gone = {report for report in place if report not in now}
    moved = {report for report in gone if place[report] in {place[other] for other in now}}
    owners: dict[str, set[str]] = {}
    for report, group in events.select("report_id", "report_group_id").unique().iter_rows():
        owners.setdefault(group, set()).add(report)
    wide = {r for members in owners.values() if len({place[m][0] for m in members}) > 1 for r in members}
    spoken = {str(word.get("report_id")) for _, _, word in world.words}
    by_hand = {seed for seed, _, word in world.words if (word["action"], word["field"]) == ("edit", "report_group_id")}

    def seeds(reports: set[str]) -> int:
        return len({seed_of[place[report][1]] for report in reports})

    return Counter(
        {
            "seeds": len(world.seeds),
            "with a report": seeds(set(place)),
            "with a report that vanished": seeds(gone),
            "with a report that moved": seeds(moved),
            "with a word on a report that vanished": seeds(gone & spoken),
            "with a word": len({seed for seed, _, _ in world.words}),
            "with a report moved by hand": len(by_hand),
            "with an event of both retailers": seeds(wide),
            "with a degraded report": len({seed_of[store] for store in degraded}),
            "words": len(world.words),
        }
    ) + Counter(f"with: {trait}" for story in world.stories for trait in sorted(story.traits))
