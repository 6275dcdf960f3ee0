"""The page and the metrics: true, the same for the same state, and safe whatever the logs say."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from prometheus_client.parser import text_string_to_metric_families

from mrs_assets.contracts.logs.alerts import ALERTS, DELIVERIES, SILENCES
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.slo import SLO, SLO_RESULTS
from mrs_assets.contracts.settings import Settings
from mrs_assets.health import words
from mrs_assets.health.charts import HEIGHT, chart
from mrs_assets.health.reading import HEALTH_VIEWS
from mrs_resources.breaker import note_failure
from mrs_resources.log_store import LogStore
from mrs_resources.publisher import Publisher
from mrs_resources.snapshot_draft import SnapshotDraft
from tests.health.written import HOSTILE, NOON, alert, delivery, level, minutes, publish, result, silence
from tests.hydration.rows import PROVENANCE, put, row
from tests.world import settings_for

VOID = {"meta", "path", "circle", "rect", "br", "wbr"}
ALLOWED = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "main",
    "h1",
    "h2",
    "h3",
    "p",
    "div",
    "section",
    "span",
} | {
    *(
        "strong",
        "code",
        "time",
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "svg",
        "path",
        "text",
        "circle",
    ),
    *("rect", "figure", "figcaption", "footer", "br", "wbr"),
}


class Page(HTMLParser):
    """What a browser would see: elements in order, their attributes, the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data

    def tags(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path)


def write_everything(store: LogStore, told: str = "plain") -> None:
    """A row of every kind, with a text from outside wherever one may stand."""
    worst = f'[{{"log": "{told if told == "plain" else "<b>"}", "minutes": 45}}]'
    hurt = {"is_degraded": True, "degraded_reasons": [told]}
    with store.transaction() as tx:
        put(tx, ATTRIBUTED, row(ATTRIBUTED, retailer=told, **hurt))
        levels = [level(ATTRIBUTED.name, day=n, hydrated_at=NOON + minutes(9 * n), rows_live=4) for n in range(3)]
        put(tx, SLO, *levels, level(ATTRIBUTED.name, retailer=told, rows_by_status='{"</script>": 2}'))
        breach = result(told, told, state="breached", worst=worst, window=told, budget_left=0.1)
        put(tx, SLO_RESULTS, result(), breach, result("known_to_none", state="unknown", value=None))
        put(tx, ALERTS, alert(1, title=told, body=told, retailers=[told], parent_id=told))
        put(tx, DELIVERIES, delivery(1, "failed", channel=told) | {"detail": told})
    for _ in range(3):
        with store.transaction() as tx:
            note_failure(tx, told, OSError(told), PROVENANCE)


def published_page(home: Path) -> str:
    return (home / "published" / "health.html").read_text("utf-8")


def test_texts_from_outside_are_shown_and_never_run(store: LogStore, tmp_path: Path, settings: Settings) -> None:
    write_everything(store, HOSTILE)
    assert publish(store, tmp_path, settings).left_out == {}
    text = published_page(tmp_path)
    page = Page(text)
    assert {tag for tag, _ in page.elements} <= ALLOWED, "no element came in from outside"
    assert page.open == []
    assert page.text.count("{{ 7 * 7 }}") >= 8, "the texts are there, as they are"
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert not re.findall(r"(?:src|href|url)\s*[=(]", text), "nothing is loaded from anywhere"
    (policy,) = [m["content"] for m in page.tags("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_the_page_can_be_read_without_seeing_it(store: LogStore, tmp_path: Path, settings: Settings) -> None:
    write_everything(store)
    publish(store, tmp_path, settings)
    page = Page(published_page(tmp_path))
    headings = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(below - above <= 1 for above, below in pairwise(headings))
    assert all(head.get("scope") in ("col", "row") for head in page.tags("th"))
    assert all(drawing.get("aria-label") or drawing.get("aria-hidden") for drawing in page.tags("svg"))
    assert any("from 0 s" in str(drawing.get("aria-label")) for drawing in page.tags("svg")), "charts are told too"
    assert page.tags("html")[0]["lang"] == "en"
    assert len(page.tags("caption")) == len(page.tags("table"))


def test_one_state_has_one_page(store: LogStore, tmp_path: Path, settings: Settings) -> None:
    write_everything(store)
    publish(store, tmp_path, settings)
    first = [(tmp_path / "published" / name).read_bytes() for name in ("health.html", "metrics.prom")]
    (tmp_path / "published").unlink()
    publish(store, tmp_path, settings)
    assert [(tmp_path / "published" / name).read_bytes() for name in ("health.html", "metrics.prom")] == first


def test_who_is_told_of_an_alert_is_said(store: LogStore, tmp_path: Path, settings: Settings) -> None:
    with store.transaction() as tx:
        put(tx, ALERTS, *(alert(n, fingerprint=f"f{n}") for n in range(1, 5)), alert(5, parent_id="AL-1"))
        put(tx, DELIVERIES, delivery(1, "failed"))
        put(tx, SILENCES, silence("f2", 24 * 9_000), silence("f3", 0))
    publish(store, tmp_path, settings)
    text = Page(published_page(tmp_path)).text
    told = [said.split("Alert ")[0] for said in text.split("Alert ")[1:]]
    expected = ("to pager: refused", "silent until", "no delivery failed", "no delivery failed", "with AL-1")
    assert [said for said, shown in zip(expected, told, strict=True) if said not in shown] == []


def test_what_is_not_known_is_a_dash_and_an_empty_home_says_so(
    store: LogStore, tmp_path: Path, settings: Settings
) -> None:
    publish(store, tmp_path, settings)
    page = Page(published_page(tmp_path)).text
    for said in ("No objective has been judged yet", "Nothing keeps failing", "No alert is open", "No row is degraded"):
        assert said in page
    assert "No log has a row yet" in page
    assert "all of it" in page, "without a watched day all data is provisional"


def test_a_companion_that_fails_is_left_out_and_the_state_is_published(
    store: LogStore, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_everything(store)

    def broken(self: SnapshotDraft, name: str, content: bytes) -> None:
        (self._folder / "half.html").write_bytes(content)
        raise OSError("disk full")

    monkeypatch.setattr(SnapshotDraft, "put_file", broken)
    published = publish(store, tmp_path, settings)
    assert published.left_out == {"health": "OSError: disk full"}
    assert Publisher(tmp_path).published() == published
    files = {path.name for path in (tmp_path / "published").iterdir()}
    assert "minority_reports.parquet" in files
    assert not files & {"health.html", "metrics.prom", "half.html"}


def samples(home: Path) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = (home / "published" / "metrics.prom").read_text("utf-8")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_parse_and_say_what_the_views_say(store: LogStore, tmp_path: Path, settings: Settings) -> None:
    write_everything(store)
    with store.transaction() as tx:
        put(tx, ATTRIBUTED, row(ATTRIBUTED, 2))
    publish(store, tmp_path, settings)
    found = samples(tmp_path)
    acme = (("log", ATTRIBUTED.name), ("retailer", "acme"))
    assert found["mrs_partition_lag_seconds", (acme[0], ("quantile", "0.5"), acme[1])] == 540
    assert found["mrs_rows_live", acme] == 12
    assert found["mrs_rows_appended_total", acme] == 1
    whole = (("objective", "sales_arrive_on_time"), ("severity", "error"), ("subject", "*"))
    assert found["mrs_objective_met", whole] == 1
    assert not [name for name in found if "known_to_none" in str(name[1]) and name[0] == "mrs_objective_met"]
    assert found["mrs_breaker_failures", (("breaker", "plain"),)] == 3
    assert found["mrs_alerts_open", (("severity", "warn"),)] == 1
    assert found["mrs_alerts_undelivered", ()] == 1
    assert not [name for name, _ in found if name == "mrs_finality_settled_seconds"], "not known: no line"


def test_labels_from_outside_come_back_as_they_went_in(store: LogStore, tmp_path: Path, settings: Settings) -> None:
    write_everything(store, HOSTILE)
    publish(store, tmp_path, settings)
    labels = {value for _, pairs in samples(tmp_path) for _, value in pairs}
    assert HOSTILE in labels


def test_stored_views_and_page_are_as_of_the_newest_row(store: LogStore, tmp_path: Path, settings: Settings) -> None:
    with store.transaction() as tx:
        put(tx, SLO, level(DETECTED.name, available_at=tx.now - minutes(30)))
        put(tx, DETECTED, row(DETECTED))
    published = publish(store, tmp_path, settings)
    page = Page(published_page(tmp_path))
    assert "30 min" in page.text
    assert published.known_at in [moment["datetime"] for moment in page.tags("time")]


@pytest.mark.parametrize(
    ("minute", "said"),
    [(None, "–"), (0.5, "30 s"), (12, "12 min"), (90.4, "90.4 min"), (240, "4 h"), (60 * 24 * 9, "9 d")],
)
def test_durations_are_told_in_a_fitting_unit(minute: float | None, said: str) -> None:
    assert words.duration(minute) == said


@pytest.mark.parametrize(
    ("share", "said"),
    [(None, "–"), (0.0, "0 %"), (0.0004, "0.04 %"), (0.25, "25 %"), (0.123, "12.3 %"), (1.0, "100 %")],
)
def test_a_small_share_is_told_apart_from_none(share: float | None, said: str) -> None:
    assert words.share(share) == said


def test_a_line_breaks_where_a_figure_is_not_known() -> None:
    drawn = chart("t", "t", [0.0, None, 10.0, 5.0], highest=10, top="10", ends=("a", "b"))
    assert len(drawn.lines) == 2
    assert [y for _, y in drawn.points] == [HEIGHT, 0, HEIGHT / 2]


def test_every_view_describes_each_of_its_columns() -> None:
    for view in HEALTH_VIEWS:
        assert all(view.describe(column) for column in view.columns)
        assert set(view.order) <= set(view.columns)
        assert isinstance(view.schema, pl.Schema)
