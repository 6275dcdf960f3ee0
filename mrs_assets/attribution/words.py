"""Why a candidate ranks where it does, in a sentence that an analyst reads."""

from __future__ import annotations

import polars as pl


def sentence() -> pl.Expr:
    """One sentence per ranked candidate, from its features and the window's start `began_at`.

    Such as `Begins with the window and shares 80 % of the time; 7 of 10 other series that it covers moved with it;
    together they went 34 % the same way since its start, the rest set off; the like of it was there on 12 % of the days
    before; likely enough to be named.`
    """
    dated = pl.col("starts_at").is_not_null()
    told = [
        pl.when(dated).then(_timing()).otherwise(_shown()),
        pl.when(dated).then(_others()).otherwise(_store()),
        _together(),
        pl.when(pl.col("rarity").is_not_null()).then(
            pl.format("the like of it was there on {} % of the days before", _percent((0.0 - pl.col("rarity")).exp()))
        ),
        pl.when(pl.col("lift") >= _TELLING).then(pl.lit("and sales moved the same way then")),
        pl.when(pl.col("unlocated") > 0).then(pl.lit("whether it reaches the store is not known")),
        _verdict(),
    ]
    return pl.format("{}.", pl.concat_str(told, separator="; ", ignore_nulls=True))


_TELLING = 0.1


def _percent(share: pl.Expr) -> pl.Expr:
    return (share * 100).round(0).cast(pl.Int64)


def _timing() -> pl.Expr:
    window, jump = (
        ((pl.col(at) - pl.col("starts_at")).dt.total_hours() / 24).round(0).cast(pl.Int64)
        for at in ("began_at", "jumped_at")
    )
    days = pl.when(jump.abs() < window.abs()).then(jump).otherwise(window)
    what = pl.when(jump.abs() < window.abs()).then(pl.lit("jump in it")).otherwise(pl.lit("window"))
    number = days.abs()
    unit = pl.when(number == 1).then(pl.lit("day")).otherwise(pl.lit("days"))
    begins = (
        pl.when(number == 0)
        .then(pl.format("Begins with the {}", what))
        .when(days > 0)
        .then(pl.format("Began {} {} before the {}", number, unit, what))
        .otherwise(pl.format("Begins {} {} after the {}", number, unit, what))
    )
    return pl.format("{} and shares {} % of the time", begins, _percent(pl.col("overlap")))


def _shown() -> pl.Expr:
    return pl.format("The window itself shows it, to {} %", _percent(pl.col("evidence").clip(0, 1)))


def _others() -> pl.Expr:
    covered, moving = pl.col("others_covered"), pl.col("others_moving")
    return (
        pl.when(covered.is_null())
        .then(pl.lit("what else it covers is not known"))
        .when(covered == 0)
        .then(pl.lit("it covers no other series"))
        .otherwise(pl.format("{} of {} other series that it covers moved with it", moving, covered))
    )


def _together() -> pl.Expr:
    """What the units of the other covered series did: `gain`, which is positive where they went the report's way."""
    gain = pl.col("gain")
    way = pl.when(gain >= 0).then(pl.lit("the same way")).otherwise(pl.lit("the other way"))
    share = _percent(gain.abs().exp() - 1)
    return pl.when(gain.is_not_null()).then(
        pl.format("together they went {} % {} since its start, the rest set off", share, way)
    )


def _store() -> pl.Expr:
    share = pl.col("others") ** 2
    return pl.when(share.is_not_null()).then(pl.format("{} % of the store's other series move alike", _percent(share)))


def _verdict() -> pl.Expr:
    return (
        pl.when("opposed")
        .then(pl.lit("but it would move sales the other way"))
        .when("viable")
        .then(pl.lit("likely enough to be named"))
        .otherwise(pl.lit("not likely enough to be named"))
    )
