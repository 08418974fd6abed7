"""docs/BENCHMARKS.md, from what `benchmarks.bench` measured."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import importlib.util
import os
import pathlib
import platform
import statistics
from typing import Any

import rich.table

from benchmarks import markdown
from benchmarks.systems import BENCHMARKS, SECOND_HALF

OURS, QUALITY = "tfx-word2vec", "tfx-word2vec, quality"

Figures = dict[str, Any]


@dataclasses.dataclass
class Measurements:
    """What was measured, as it comes.

    Attributes:
        options: of the command line.
        config: the Trainer's default settings.
        sides: a row for each system and seed.
        cores: words per second of each run, by cores.
        shapes: words per second of ours and of gensim, by window and dimensions.
        extras: the rest, by name.
    """

    options: argparse.Namespace
    config: dict[str, Any]
    sides: list[Figures] = dataclasses.field(default_factory=list)
    cores: dict[int, list[int]] = dataclasses.field(default_factory=dict)
    shapes: dict[tuple[int, int], tuple[int, int]] = dataclasses.field(default_factory=dict)
    extras: dict[str, Any] = dataclasses.field(default_factory=dict)


def scores(row: Figures) -> str:
    """A row's quality in a line."""
    return " ".join(f"{name} {row[name]:.3f}" for name in BENCHMARKS)


_QUALITY_COLUMNS = ["WordSim-353", "SimLex-999", "Google analogies", "mean"]
HEADER = ["system", "epochs", "seeds", "words/s", "times gensim", "of gensim's time", *_QUALITY_COLUMNS, "peak MiB"]


def table(sides: list[Figures]) -> rich.table.Table:
    """The systems, for a screen."""
    rich_table = rich.table.Table(*HEADER, box=None)
    for row in _rows(_by_system(sides)):
        rich_table.add_row(*row)
    return rich_table


def page(measurements: Measurements) -> str:
    """The whole of docs/BENCHMARKS.md."""
    parts = [
        "# Benchmarks",
        f"Written by `make bench`. {machine()}",
        "Only the training is timed, and not the reading and counting of the text before it. Speeds on virtual "
        "machines vary by half and more from run to run: what counts are the ratios within one run, and those vary "
        "too.",
        *_beside_others(measurements),
        *(_shape_parts(measurements) if measurements.shapes else []),
        *(_core_parts(measurements) if measurements.cores else []),
        *(_extra_parts(measurements) if measurements.extras else []),
    ]
    return markdown.page(parts)


def _by_system(sides: list[Figures]) -> dict[str, list[Figures]]:
    names = dict.fromkeys(row["name"] for row in sides)
    return {name: [row for row in sides if row["name"] == name] for name in names}


def _mean(rows: list[Figures], name: str) -> float:
    return statistics.mean(row[name] for row in rows)


def _speed(rows: list[Figures]) -> float:
    return statistics.median(row["words_per_second"] for row in rows)


def _quality(rows: list[Figures], names: tuple[str, ...]) -> list[str]:
    means = [_mean(rows, name) for name in names]
    return [f"{mean:.3f}" for mean in (*means, statistics.mean(means))]


def _rows(by_system: dict[str, list[Figures]]) -> list[list[str]]:
    """A row for each system: medians of speed, means of quality, the greatest memory."""
    gensim = by_system["gensim"]
    its_seconds_per_word = gensim[0]["epochs"] / _speed(gensim)
    return [
        [
            name, str(rows[0]["epochs"]), str(len(rows)), f"{_speed(rows):,.0f}",
            f"{_speed(rows) / _speed(gensim):.1f}",
            f"{rows[0]['epochs'] / _speed(rows) / its_seconds_per_word:.2f}",
            *_quality(rows, BENCHMARKS), f"{max(row['peak_rss_mib'] for row in rows):,}",
        ]
        for name, rows in by_system.items()
    ]  # fmt: skip


def _beside_others(measurements: Measurements) -> list[str]:
    trainer, skipgram, options = measurements.config["trainer"], measurements.config["skipgram"], measurements.options
    by_system = _by_system(measurements.sides)
    wait = max(row["input_wait"] for row in measurements.sides if "input_wait" in row)
    corpus = "/".join(pathlib.PurePath(options.corpus).parts[-2:])
    return [
        "## Beside gensim and fastText",
        f"Corpus: `{corpus}`, {by_system[OURS][0]['vocabulary']:,} words of at least "
        f"{skipgram['min_count']} occurrences; {trainer['dimensions']} dimensions, window {skipgram['window']}, "
        f"{trainer['negatives']} negatives, subsampling {skipgram['subsampling']}, {options.threads} threads, the rest "
        "as each has it by default. Speed is the median over the seeds, quality their mean, by gensim's own "
        "evaluation; words are counted before subsampling. `quality` is the preset of this name "
        "(pipeline/presets/quality.yaml).",
        markdown.table(HEADER, _rows(by_system)),
        "Our settings were chosen on IMDB reviews by these benchmarks (docs/nce.md): the default by all questions, "
        "`quality` by every other question. The questions between those, and the means of each system's seeds:",
        markdown.table(
            ["system", *_QUALITY_COLUMNS],
            [[name, *_quality(rows, SECOND_HALF)] for name, rows in by_system.items()],
        ),
        "Each run:",
        markdown.table(["system", "seed", "words/s", *BENCHMARKS], [_run_row(row) for row in measurements.sides]),
        f"Waiting for data took at most {wait:.1%} of our training's time.",
    ]


def _run_row(row: Figures) -> list[str]:
    return [row["name"], str(row["seed"]), f"{row['words_per_second']:,}", *(f"{row[name]:.3f}" for name in BENCHMARKS)]


def _shape_parts(measurements: Measurements) -> list[str]:
    return [
        "## Windows and dimensions",
        "One epoch each; gensim's of the first quarter of the text.",
        markdown.table(
            ["window", "dimensions", "words/s", "gensim's", "times gensim"],
            [
                [str(window), str(dimensions), f"{ours:,}", f"{theirs:,}", f"{ours / theirs:.1f}"]
                for (window, dimensions), (ours, theirs) in measurements.shapes.items()
            ],
        ),
    ]


def _core_parts(measurements: Measurements) -> list[str]:
    of_one = statistics.median(measurements.cores[1])
    return [
        "## Cores",
        "One epoch each, in turn; medians of three.",
        markdown.table(
            ["cores", "words/s", "times one core's"],
            [
                [str(cores), f"{statistics.median(speeds):,}", f"{statistics.median(speeds) / of_one:.2f}"]
                for cores, speeds in measurements.cores.items()
            ],
        ),
    ]


def _extra_parts(measurements: Measurements) -> list[str]:
    losses, sizes, fit = (measurements.extras[name] for name in ("losses", "sizes", "fit"))

    def cell(size: int, loss: str) -> list[str]:
        row, full = losses[size, loss], losses[size, "full_softmax"]
        ratio = row["examples_per_second"] / full["examples_per_second"]
        return [f"{size:,}", loss, f"{row['examples_per_second']:,}", f"{ratio:.1f}", f"{row['peak_rss_mib']:,}"]

    return [
        "## Losses",
        "Examples are pairs. On made-up text of so many words (Zipf's law, subsampled), 128 dimensions; the full "
        "softmax by TensorFlow, 16 blocks per step, the others by the compiled kernel.",
        markdown.table(
            ["vocabulary", "loss", "examples/s", "times full softmax", "peak MiB"],
            [cell(size, loss) for size, loss in losses],
        ),
        f"Quality after about {measurements.options.seconds:.0f} s of training on the corpus above, plain SGD, the "
        "learning rate falling from 0.03 to 0 within them:",
        markdown.table(
            ["loss", "seconds", *BENCHMARKS],
            [
                [loss, str(row["seconds"]), *(f"{row[name]:.3f}" for name in BENCHMARKS)]
                for loss, row in measurements.extras["equal_time"].items()
            ],
        ),
        "## Vocabulary size",
        "NCE on made-up text, as above; the memory is that of the whole process.",
        markdown.table(
            ["vocabulary", "dimensions", "tables", "positions/s", "peak MiB"],
            [
                [f"{size:,}", str(dimensions), tables, f"{row['positions_per_second']:,}", f"{row['peak_rss_mib']:,}"]
                for (size, dimensions, tables), row in sizes.items()
            ],
        ),
        *_profile_parts(measurements),
        f"TensorFlow's kernel: Keras' `fit` does {fit['fit_steps_per_second']:,} steps/s, the training loop "
        f"{fit['loop_steps_per_second']:,} (one stream each).",
    ]


def _profile_parts(measurements: Measurements) -> list[str]:
    trainer, profile = measurements.config["trainer"], measurements.extras["profile"]
    shares = profile["share_of_limit"]
    return [
        "## Where a block's time goes",
        f"{trainer['block_length']} positions, {trainer['shared_negatives']} noise words, 128 dimensions, 57,000 "
        "words, on one core; each part alone, and then the whole block, in which the next block's rows come while "
        f"this one is computed. This core multiplies at most {profile['limit_gflops']} GFLOP/s (a tile of which "
        "everything is in the nearest cache); shares are of what is needed, a query with the keys in its window and "
        "the noise:",
        markdown.table(
            ["part", "microseconds", "share of the limit"],
            [
                [name, str(value), f"{shares[name]:.0%}" if name in shares else ""]
                for name, value in profile["microseconds"].items()
            ],
        ),
    ]


def machine() -> str:
    """What measured, in a sentence."""
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}"
        for name in ("tensorflow", "tfx", "gensim", "fasttext")
        if importlib.util.find_spec(name)
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, {versions}."
    )


def _processor() -> str:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
