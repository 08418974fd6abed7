"""docs/MONTH.md and its plot, from what `benchmarks.month` measured."""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
import statistics
from collections.abc import Callable, Sequence

from benchmarks import bench_report, markdown
from word2vec import whole_files

HEADER = [
    "day", "seconds", "from scratch", "MB read", "from scratch", "mean score", "from scratch", "stability",
    "from scratch", "the same, turned", "disk MB",
]  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Day:
    """What a day's run took and made.

    Attributes:
        seconds: from the text's arrival to the pushed model.
        bytes_read: of the text's files.
        scores: by benchmark.
        stability: the mean cosine of a word's vector with yesterday's, as they stand; None on the first day.
        turned: the same after turning the model onto yesterday's.
        disk: bytes of the run's folder.
    """

    seconds: float
    bytes_read: int
    scores: dict[str, float]
    stability: float | None
    turned: float | None
    disk: int

    @property
    def quality(self) -> float:
        """The mean over the benchmarks."""
        return statistics.fmean(self.scores.values())


Row = tuple[Day, Day]


def cells(daily: Day, scratch: Day, day: int | None = None) -> list[str]:
    """A day as a row of the table."""
    return [
        "" if day is None else str(day),
        *(f"{each.seconds:.1f}" for each in (daily, scratch)),
        *(f"{each.bytes_read / 1e6:.1f}" for each in (daily, scratch)),
        *(f"{each.quality:.3f}" for each in (daily, scratch)),
        *("" if number is None else f"{number:.3f}" for number in (daily.stability, scratch.stability, scratch.turned)),
        f"{daily.disk / 1e6:,.0f}",
    ]


def write(rows: Sequence[Row], options: argparse.Namespace, folder: pathlib.Path) -> None:
    """Writes the tables and the plot.

    Args:
        rows: of each day, the first one first.
        options: of the command line.
        folder: where to.
    """
    full = list(rows[options.window :]) or list(rows)  # days with a whole window behind them
    daily, scratch = zip(*full, strict=True)
    share = statistics.median(day.seconds for day in daily) / statistics.median(day.seconds for day in scratch)
    scores = [
        [name, *(_with_interval([day.scores[name] for day in side]) for side in (daily, scratch))]
        for name in daily[0].scores
    ]
    stable = [day.stability for day in daily if day.stability is not None]
    parts = [
        "# A month, day by day",
        f"Written by `python -m benchmarks.month`. {bench_report.machine()}",
        f"{options.days} days of text, a window of {options.window}. Each day is delivered to `local_runner.py "
        f"--follow`, which trains {options.daily_epochs} epochs from yesterday's model on, with a learning rate of "
        f"{options.daily_rate:g}, and turns it into its space; "
        f"beside it, the same window is trained for {options.epochs} epochs from scratch, in a process of its own.",
        f"An ordinary day (the median from day {options.window + 1} on) took {share:.2f} of the time from scratch. The "
        f"mean stability is {statistics.fmean(stable):.3f}. Means over these days, with 95 % intervals:",
        markdown.table(["benchmark", "day by day", "from scratch"], scores),
        "![time, quality, stability and disk by day](month.svg)",
        markdown.table(HEADER, (cells(*row, number) for number, row in enumerate(rows, 1))),
    ]
    whole_files.write_text(folder / "MONTH.md", markdown.page(parts))
    whole_files.write_text(folder / "month.svg", plot(rows))


def _with_interval(values: Sequence[float]) -> str:
    spread = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return f"{statistics.fmean(values):.3f} ± {1.96 * spread:.3f}"


_WIDTH, _HEIGHT, _EDGE = 420, 170, 34
_PANELS: list[tuple[str, Callable[[Day], float | None], bool]] = [
    ("seconds", lambda day: day.seconds, True),
    ("mean score", lambda day: day.quality, True),
    ("stability", lambda day: day.stability, True),
    ("disk, MB", lambda day: day.disk / 1e6, False),
]


def plot(rows: Sequence[Row]) -> str:
    """Four panels over the days, as SVG; blue is day by day, orange from scratch."""
    panels = []
    for number, (title, value, both) in enumerate(_PANELS):
        series = [("#4477aa", [value(daily) for daily, _ in rows])]
        series += [("#ee7733", [value(scratch) for _, scratch in rows])] if both else []
        x, y = number % 2 * _WIDTH, number // 2 * _HEIGHT
        panels.append(f'<g transform="translate({x} {y})">{_panel(title, series)}</g>')
    size = f'width="{2 * _WIDTH}" height="{2 * _HEIGHT}" viewBox="0 0 {2 * _WIDTH} {2 * _HEIGHT}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11" fill="#777">'
        f"{''.join(panels)}</svg>\n"
    )


def _panel(title: str, series: Sequence[tuple[str, Sequence[float | None]]]) -> str:
    known = [value for _, values in series for value in values if value is not None]
    top = max([*known, 1e-9]) * 1.05
    days = max(len(values) for _, values in series)
    wide, high = _WIDTH - 2 * _EDGE, _HEIGHT - 2 * _EDGE

    def at(day: int, value: float) -> str:
        return f"{_EDGE + wide * day / max(days - 1, 1):.1f},{_HEIGHT - _EDGE - high * value / top:.1f}"

    lines = "".join(
        f'<polyline fill="none" stroke="{color}" stroke-width="2" points="'
        + " ".join(at(day, value) for day, value in enumerate(values) if value is not None)
        + '"/>'
        for color, values in series
    )
    bottom = _HEIGHT - _EDGE
    return (
        f'<text x="{_EDGE}" y="{_EDGE - 10}">{title}: day by day (blue)'
        f"{', from scratch (orange)' if len(series) > 1 else ''}</text>"
        f'<path d="M{_EDGE} {_EDGE}V{bottom}H{_WIDTH - _EDGE}" fill="none" stroke="#999"/>'
        f'<text x="{_EDGE - 4}" y="{_EDGE + 6}" text-anchor="end">{top:.3g}</text>'
        f'<text x="{_EDGE - 4}" y="{bottom}" text-anchor="end">0</text>'
        f'<text x="{_WIDTH - _EDGE}" y="{bottom + 14}" text-anchor="end">day {days}</text>{lines}'
    )
