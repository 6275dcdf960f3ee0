"""Health in the text format that Prometheus reads, by its conventions: base units, `_total` for what only grows."""

from __future__ import annotations

import json
from collections.abc import Iterator

import polars as pl
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from mrs_assets.health.finality_sql import HEALTH_FINALITY
from mrs_assets.health.judged_sql import HEALTH_ALERTS, HEALTH_OBJECTIVES, HEALTH_PLANS
from mrs_assets.health.logs_sql import HEALTH_LOGS
from mrs_assets.health.reading import Health
from mrs_assets.health.recall_sql import HEALTH_RECALL


def exposition(health: Health) -> bytes:
    """Every figure that is known, one line each; what is not known has no line. UTF-8."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(health))
    return generate_latest(registry)


class _Figures(Collector):
    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "mrs_snapshot_known_at_timestamp_seconds",
            "When the newest row of the published snapshot was written.",
            value=self._health.known_at.timestamp(),
        )
        yield from self._of_logs()
        yield from self._of_objectives()
        yield from self._of_what_stands_out()
        yield from self._of_recall()
        yield from self._of_finality()

    def _of_logs(self) -> Iterator[Metric]:
        """Per log and retailer; their sums are left to whoever asks, so that nothing counts twice."""
        logs = self._health[HEALTH_LOGS].filter(pl.col("retailer").is_not_null())
        labels = ["log", "retailer"]
        written = logs.with_columns(pl.col("last_written_at").dt.epoch("us") / 1e6)
        yield _gauge(
            "mrs_log_last_written_timestamp_seconds",
            "When its newest row was written.",
            written,
            labels,
            "last_written_at",
        )
        lag = GaugeMetricFamily(
            "mrs_partition_lag_seconds",
            "From the receipt of a partition's newest file to the views that show it; what waits counts with its age.",
            labels=[*labels, "quantile"],
        )
        for row in logs.to_dicts():
            for quantile, column in (("0.5", "lag_p50_minutes"), ("0.95", "lag_p95_minutes")):
                if row[column] is not None:
                    lag.add_metric([row["log"], row["retailer"], quantile], row[column] * 60)
        yield lag
        for name, text, column in (
            ("mrs_partitions_waiting", "Partitions received and not shown by the views yet.", "partitions_waiting"),
            ("mrs_rows_live", "Rows that are true.", "rows_live"),
            ("mrs_rows_degraded", "Rows that are true and do without something.", "rows_live_degraded"),
            (
                "mrs_dead_letters_open",
                "Refused rows (of the arrivals: files) that nobody has resolved.",
                "dead_letters",
            ),
        ):
            yield _gauge(name, text, logs, labels, column)
        statuses = GaugeMetricFamily("mrs_rows_by_status", "Rows that are true, by status.", labels=[*labels, "status"])
        for log, retailer, told in logs.select(*labels, "rows_by_status").drop_nulls().iter_rows():
            for status, rows in json.loads(told).items():
                statuses.add_metric([log, retailer, status], rows)
        yield statuses
        for name, text, column in (
            ("mrs_rows_appended", "Rows ever appended in this namespace.", "rows"),
            ("mrs_rows_dead_lettered", "Rows ever refused in this namespace.", "dead_letters_ever"),
        ):
            counter = CounterMetricFamily(name, text, labels=labels)
            for row in logs.to_dicts():
                counter.add_metric([row["log"], row["retailer"]], row[column])
            yield counter

    def _of_objectives(self) -> Iterator[Metric]:
        judged = self._health[HEALTH_OBJECTIVES]
        labels = ["objective", "subject"]
        known = judged.filter(pl.col("state") != "unknown").with_columns(met=(pl.col("state") == "met").cast(pl.Int64))
        yield _gauge("mrs_objective_met", "1: met, 0: breached.", known, [*labels, "severity"], "met")
        for name, text, column in (
            ("mrs_objective_value", "Its value when it last changed, in its unit.", "value"),
            ("mrs_objective_limit", "The limit that its value is held against.", "limit"),
        ):
            yield _gauge(name, text, judged, [*labels, "unit"], column)
        budget = "Share of the error budget that is left."
        yield _gauge("mrs_error_budget_left_ratio", budget, judged, labels, "budget_left")

    def _of_what_stands_out(self) -> Iterator[Metric]:
        health = self._health
        failing = [(known.name, known.failures, int(known.state == "open")) for known in health.failing]
        breakers = pl.DataFrame(failing, ["breaker", "failures", "open"], orient="row") if failing else pl.DataFrame()
        yield _gauge("mrs_breaker_failures", "Failures in a row.", breakers, ["breaker"], "failures")
        yield _gauge("mrs_breaker_open", "1: it is left alone.", breakers, ["breaker"], "open")
        alerts = health[HEALTH_ALERTS]
        counts = alerts.filter(pl.col("state") != "resolved").group_by("severity", maintain_order=True).len()
        yield _gauge("mrs_alerts_open", "Alerts that are open.", counts.sort("severity"), ["severity"], "len")
        yield GaugeMetricFamily(
            "mrs_alerts_undelivered",
            "Alerts of which a channel does not know the newest change.",
            value=alerts.filter(pl.col("undelivered_to").list.len() > 0).height,
        )
        plans = health[HEALTH_PLANS].group_by("retailer").len().sort("retailer")
        yield _gauge("mrs_plans_unfinished", "Planned replays that are not done.", plans, ["retailer"], "len")

    def _of_recall(self) -> Iterator[Metric]:
        known = self._health[HEALTH_RECALL].with_columns(
            waiting_seconds=(pl.lit(self._health.now) - pl.col("waiting_since")).dt.total_microseconds() / 1e6
        )
        for name, text, column in (
            ("mrs_recall_waiting", "Past reports that wait for their re-review.", "waiting"),
            ("mrs_recall_oldest_waiting_seconds", "Age of the oldest of them.", "waiting_seconds"),
            ("mrs_recall_changed_ratio", "Share of concluded rounds that changed the conclusion.", "changed_share"),
            ("mrs_recall_seconds_per_change", "Seconds of computing per changed conclusion.", "seconds_per_change"),
        ):
            yield _gauge(name, text, known, ["trigger_reason"], column)
        for name, text, column in (
            ("mrs_recall_rounds", "Rounds that were concluded.", "reviewed"),
            ("mrs_recall_changes", "Rounds whose conclusion is another one.", "changed"),
            ("mrs_recall_compute_seconds", "Seconds of computing spent on re-reviews.", "compute_seconds"),
        ):
            counter = CounterMetricFamily(name, text, labels=["trigger_reason"])
            for row in known.to_dicts():
                if row[column] is not None:
                    counter.add_metric([row["trigger_reason"]], row[column])
            yield counter

    def _of_finality(self) -> Iterator[Metric]:
        day = 86_400
        finality = self._health[HEALTH_FINALITY].with_columns(pl.col("settled_after_days") * day)
        for name, text, column in (
            (
                "mrs_finality_settled_seconds",
                "After its end, 95 % of the restated days are settled.",
                "settled_after_days",
            ),
            ("mrs_finality_watched_days", "Business days that this is known from.", "days_watched"),
            ("mrs_finality_restated_days", "Of these, days that were restated.", "days_restated"),
        ):
            yield _gauge(name, text, finality, ["retailer"], column)


def _gauge(name: str, text: str, rows: pl.DataFrame, labels: list[str], column: str) -> GaugeMetricFamily:
    """One sample per row whose figure is known."""
    gauge = GaugeMetricFamily(name, text, labels=labels)
    for row in rows.to_dicts():
        if row[column] is not None:
            gauge.add_metric([row[label] for label in labels], row[column])
    return gauge
