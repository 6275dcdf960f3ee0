"""The geometry of the page's small charts: figures to coordinates. How they are drawn is said in the template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 320, 96
"""Size of the area that is drawn in, in units of the drawing."""


@dataclass(frozen=True)
class Chart:
    """One small chart.

    Attributes:
        title: what it shows.
        told: what it shows, in words, for whoever does not see it.
        points: x and y of every figure that is known, in order.
        lines: the points, as paths that break where a figure is not known.
        top: label of the highest value of the axis; `bottom` is 0.
        first, last: labels of the ends of the horizontal axis.
        mark: y of a horizontal line, and its label; None: it has none.
    """

    title: str
    told: str
    points: tuple[tuple[float, float], ...]
    lines: tuple[str, ...]
    top: str
    first: str
    last: str
    mark: tuple[float, str] | None = None


def chart(
    title: str,
    told: str,
    figures: Sequence[float | None],
    *,
    highest: float,
    top: str,
    ends: tuple[str, str],
    mark: tuple[float, str] | None = None,
    steps: bool = False,
) -> Chart:
    """Place figures at equal distances from left to right.

    Args:
        title: of the chart.
        told: what it shows, in words.
        figures: what is drawn; None: not known, nothing is drawn there.
        highest: value at the upper edge; above 0.
        top: its label.
        ends: labels of the first and the last figure.
        mark: value of a horizontal line, and its label.
        steps: whether a value holds until the next one.
    """
    apart = WIDTH / max(len(figures) - 1, 1)
    lines: list[str] = []
    points: list[tuple[float, float]] = []
    pen_down = False
    for place, figure in enumerate(figures):
        if figure is None:
            pen_down = False
            continue
        x, y = round(place * apart, 1), _height(figure, highest)
        points.append((x, y))
        if not pen_down:
            lines.append(f"M{x} {y}")
        else:
            lines[-1] += f" H{x} V{y}" if steps else f" L{x} {y}"
        pen_down = True
    line = (_height(mark[0], highest), mark[1]) if mark is not None and mark[0] <= highest else None
    return Chart(title, told, tuple(points), tuple(lines), top, *ends, line)


def _height(value: float, highest: float) -> float:
    return round(HEIGHT * (1 - min(max(value / highest, 0.0), 1.0)), 1)
