"""Measures this project beside gensim and fastText, and its losses beside each other, all in one run.

    make bench CORPUS='reviews/*.gz'

Prints a table, and writes runs/bench/results.json and docs/BENCHMARKS.md. Every measurement is a process of its own,
one after the other.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
from typing import Any

import rich.console
import rich.table

from benchmarks import arguments, systems

ROOT = pathlib.Path(__file__).parent.parent
RUN = ROOT / "runs" / "bench"
REPORT = ROOT / "docs" / "BENCHMARKS.md"
BENCHMARKS = ("wordsim353", "simlex999", "analogies")
LOSSES = ("full_softmax", "sampled_softmax", "nce", "negative_sampling")

Figures = dict[str, Any]


def main() -> None:
    """Measures, prints and writes."""
    options = _parser().parse_args()
    screen = rich.console.Console(highlight=False)
    screen.print("preparing the pairs (a run of the pipeline) …")
    _prepare(options.corpus)
    config = systems.trainer_settings(RUN)
    with tempfile.TemporaryDirectory() as folder:
        tokens = pathlib.Path(folder) / "tokens.txt"
        systems.write_tokens(RUN, tokens)
        sides = _sides(screen, options, config, tokens)
    _write(options, config, sides, {})  # the rest takes long
    if not options.quick:
        _write(options, config, sides, _extras(screen, options, config))
    screen.print(_table(sides))
    screen.print(f"{REPORT}\n{RUN / 'results.json'}")


def _write(options: argparse.Namespace, config: dict[str, Any], sides: list[Figures], extras: dict[str, Any]) -> None:
    results = json.dumps([_schema(row) for row in sides], indent=2)
    for path, text in ((RUN / "results.json", f"{results}\n"), (REPORT, _report(options, config, sides, extras))):
        beside = path.with_name(f"{path.name}.new")
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--corpus",
        type=arguments.corpus,
        default="builtin://wikipedia",
        help="a file, folder or glob; by default the sample",
    )
    parser.add_argument("--seeds", type=arguments.count(), default=3, help="of ours and of gensim")
    parser.add_argument("--epochs", type=arguments.count(), default=5, help="of ours and of gensim")
    parser.add_argument("--fasttext-epochs", type=arguments.count(), default=1, help="it is slow")
    parser.add_argument("--threads", type=arguments.count(), default=os.cpu_count(), help="gensim's and fastText's")
    parser.add_argument(
        "--seconds", type=arguments.seconds(), default=40, help="of training for each loss at equal time"
    )
    parser.add_argument("--quick", action="store_true", help="only the systems, not the losses and sizes")
    return parser


def _prepare(corpus: str) -> None:
    """Makes the pairs, by the pipeline itself; what has not changed is not done again."""
    command = [sys.executable, str(ROOT / "local_runner.py"), "--config", "imdb", "--name", "bench"]
    subprocess.run(
        [*command, "--corpus", corpus, "--set", f"root={RUN.parent}", "--set", "trainer.epochs=1"],
        check=True, cwd=ROOT, stdout=subprocess.DEVNULL,
    )  # fmt: skip


def _sides(
    screen: rich.console.Console, options: argparse.Namespace, config: dict[str, Any], tokens: pathlib.Path
) -> list[Figures]:
    wanted = [
        (system, seed, options.epochs) for seed in range(1, options.seeds + 1) for system in ("gensim", "tfx-word2vec")
    ]
    if importlib.util.find_spec("fasttext"):
        wanted.append(("fasttext", 1, options.fasttext_epochs))
    else:
        screen.print("fastText is not installed (pip install fasttext, which needs a C++ compiler): left out")
    rows = []
    for system, seed, epochs in wanted:
        row = train(system, seed, epochs, config, tokens=str(tokens), threads=options.threads)
        screen.print(f"{system:<14} seed {seed}  {row['words_per_second']:>9,} words/s  {_scores(row)}")
        rows.append(row)
    for cores in (1, 2):
        if not options.quick:
            row = train("tfx-word2vec", 1, 1, config, cores=cores)
            rows.append({**row, "cores": cores})
    return rows


def train(
    system: str, seed: int, epochs: int, config: dict[str, Any], *, run: pathlib.Path = RUN, **more: Any
) -> Figures:  # fmt: skip
    """Trains a system in a process of its own.

    Args:
        system: one of `systems.SYSTEMS`.
        seed: of its random draws.
        epochs: passes over the text.
        config: the Trainer's, as `systems.trainer_settings` has it.
        run: the finished run whose text and pairs it takes.
        **more: `tokens`, a file, and `threads` for the others; `cores` for ours.
    """
    with tempfile.TemporaryDirectory() as work:
        request = {"system": system, "seed": seed, "epochs": epochs, "run": str(run), "work": work, "config": config}
        figures = child("benchmarks.systems", {**request, **more})
    loss = config["trainer"]["loss"] if system == "tfx-word2vec" else "negative_sampling"
    return {"system": system, "loss": loss, "epochs": epochs, "seed": seed, **figures}


def child(module: str, request: dict[str, Any]) -> Figures:
    """Runs a module of ours in a process of its own, and returns what it prints last, in JSON."""
    done = subprocess.run(
        [sys.executable, "-m", module, json.dumps(request)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{module} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _extras(screen: rich.console.Console, options: argparse.Namespace, config: dict[str, Any]) -> dict[str, Any]:
    """Losses and sizes, a profile, and Keras' fit."""

    def measure(name: str, **request: Any) -> Figures:
        figures = child("benchmarks.steps", {"measurement": name, **request})
        screen.print(f"{name} {request.get('loss', '')} {request.get('vocabulary', '')}  {figures}")
        return figures

    def speed(size: int, loss: str, dimensions: int = 128) -> Figures:
        steps = 200 if loss != "full_softmax" else 2
        return measure(
            "speed", vocabulary=size, loss=loss, dimensions=dimensions, blocks_per_step=16, seconds=4,
            steps_per_call=steps,
        )  # fmt: skip

    losses = {(size, loss): speed(size, loss) for size in (1_000, 10_000, 57_000, 500_000) for loss in LOSSES}
    return {
        "losses": losses,
        "sizes": {size: row for (size, loss), row in losses.items() if loss == "nce"}
        | {1_000_000: speed(1_000_000, "nce")},
        "large": speed(1_000_000, "nce", 300),
        "equal_time": {
            loss: measure(
                "equal_time", loss=loss, run=str(RUN), config=config, seconds=options.seconds,
                steps_per_call=200 if loss != "full_softmax" else 2,
            )
            for loss in LOSSES
        },
        "profile": measure(
            "profile", vocabulary=57_000, length=config["trainer"]["block_length"],
            noise=config["trainer"]["shared_negatives"],
        ),
        "fit": measure("fit", vocabulary=57_000),
    }  # fmt: skip


def _schema(row: Figures) -> Figures:
    keys = ("system", "loss", "epochs", "seed", "words_per_second", *BENCHMARKS, "peak_rss_mib")
    return {key: row[key] for key in keys}


def _scores(row: Figures) -> str:
    return " ".join(f"{name} {row[name]:.3f}" for name in BENCHMARKS)


def _means(sides: list[Figures]) -> list[Figures]:
    """A row a system: medians of speed, means of quality, the greatest memory."""
    rows = []
    for system in systems.SYSTEMS:
        of_system = [row for row in sides if row["system"] == system and "cores" not in row]
        if of_system:
            mean = {name: statistics.mean(row[name] for row in of_system) for name in BENCHMARKS}
            speed = statistics.median(row["words_per_second"] for row in of_system)
            peak = max(row["peak_rss_mib"] for row in of_system)
            seeds, epochs = len(of_system), of_system[0]["epochs"]
            rows.append(
                {
                    "system": system,
                    "seeds": seeds,
                    "epochs": epochs,
                    "words_per_second": speed,
                    **mean,
                    "peak_rss_mib": peak,
                }
            )
    return rows


def _rows(sides: list[Figures]) -> list[list[str]]:
    means = _means(sides)
    base = next((row["words_per_second"] for row in means if row["system"] == "gensim"), float("nan"))
    return [
        [
            row["system"], str(row["epochs"]), str(row["seeds"]), f"{row['words_per_second']:,.0f}",
            f"{row['words_per_second'] / base:.2f}", *(f"{row[name]:.3f}" for name in BENCHMARKS),
            f"{row['peak_rss_mib']:,}",
        ]
        for row in means
    ]  # fmt: skip


HEADER = [
    "system",
    "epochs",
    "seeds",
    "words/s",
    "times gensim",
    "WordSim-353",
    "SimLex-999",
    "Google analogies",
    "peak MiB",
]


def _table(sides: list[Figures]) -> rich.table.Table:
    table = rich.table.Table(*HEADER, box=None)
    for row in _rows(sides):
        table.add_row(*row)
    return table


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """A table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _report(options: argparse.Namespace, config: dict[str, Any], sides: list[Figures], extras: dict[str, Any]) -> str:
    trainer, skipgram = config["trainer"], config["skipgram"]
    ours = [row for row in sides if row["system"] == "tfx-word2vec"]
    wait = max(row["input_wait"] for row in ours)
    corpus = "/".join(pathlib.PurePath(options.corpus).parts[-2:])
    parts = [
        "# Benchmarks",
        f"Written by `make bench`. {_machine()}\n\nTimings on virtual machines vary by a fifth and more from run to "
        "run: what counts are the ratios within one run.",
        "## Beside gensim and fastText",
        f"Corpus: `{corpus}`, {ours[0]['vocabulary']:,} words of at least "
        f"{skipgram['min_count']} occurrences; {trainer['dimensions']} dimensions, window {skipgram['window']}, "
        f"{trainer['negatives']} negatives, subsampling {skipgram['subsampling']}, {options.threads} threads, the rest "
        "as each has it by default. Speed is the median over the seeds, quality their mean, by gensim's own "
        "evaluation; words are counted before subsampling. Our defaults were chosen on IMDB reviews by these same "
        "three benchmarks (docs/nce.md); the others' are their own.",
        markdown(HEADER, _rows(sides)),
        "Each run:",
        markdown(
            ["system", "seed", "words/s", *BENCHMARKS],
            [_run_row(row) for row in sides if "cores" not in row],
        ),
        f"Waiting for data took at most {wait:.1%} of our training's time.",
    ]  # fmt: skip
    return "\n\n".join([*parts, *(_extra_parts(options, config, sides, extras) if extras else [])]) + "\n"


def _run_row(row: Figures) -> list[str]:
    scores = [f"{row[name]:.3f}" for name in BENCHMARKS]
    return [row["system"], str(row["seed"]), f"{row['words_per_second']:,}", *scores]


def _extra_parts(
    options: argparse.Namespace, config: dict[str, Any], sides: list[Figures], extras: dict[str, Any]
) -> list[str]:
    by_cores = {row["cores"]: row["words_per_second"] for row in sides if "cores" in row}
    shares = extras["profile"]["share_of_limit"]
    losses, sizes, fit, large = extras["losses"], extras["sizes"], extras["fit"], extras["large"]

    def cell(size: int, loss: str) -> list[str]:
        row, full = losses[size, loss], losses[size, "full_softmax"]
        ratio = row["examples_per_second"] / full["examples_per_second"]
        return [f"{size:,}", loss, f"{row['examples_per_second']:,}", f"{ratio:.1f}", f"{row['peak_rss_mib']:,}"]

    return [
        "## Losses",
        "Examples are pairs. On made-up text of so many words (Zipf's law, subsampled), 128 dimensions; the full "
        "softmax by TensorFlow, 512 positions per step, the others by the compiled kernel.",
        markdown(
            ["vocabulary", "loss", "examples/s", "times full softmax", "peak MiB"],
            [cell(size, loss) for size, loss in losses],
        ),
        f"Quality after about {options.seconds:.0f} s of training on the corpus above, plain SGD, the learning rate "
        "falling from 0.03 to 0 within them:",
        markdown(
            ["loss", "seconds", *BENCHMARKS],
            [[loss, str(row["seconds"]), *(f"{row[name]:.3f}" for name in BENCHMARKS)]
             for loss, row in extras["equal_time"].items()],
        ),
        "## Vocabulary size",
        markdown(
            ["vocabulary", "dimensions", "positions/s", "peak MiB"],
            [[f"{size:,}", "128", f"{row['positions_per_second']:,}", f"{row['peak_rss_mib']:,}"]
             for size, row in sizes.items()]
            + [["1,000,000", "300", f"{large['positions_per_second']:,}", f"{large['peak_rss_mib']:,}"]],
        ),
        "## Cores",
        markdown(["cores", "words/s, one epoch"], [[str(cores), f"{speed:,}"] for cores, speed in by_cores.items()]),
        "## Where a block's time goes",
        f"{config['trainer']['block_length']} positions, {config['trainer']['shared_negatives']} noise words, 128 "
        "dimensions, 57,000 words, on one core; each part alone, and then the whole block, in which the next block's "
        "rows come while this one is computed. This core multiplies at most "
        f"{extras['profile']['limit_gflops']} GFLOP/s (a tile of which everything is in the nearest cache); shares are "
        "of what is needed, a query with the keys in its window and the noise:",
        markdown(
            ["part", "microseconds", "share of the limit"],
            [
                [name, str(value), f"{shares[name]:.0%}" if name in shares else ""]
                for name, value in extras["profile"]["microseconds"].items()
            ],
        ),
        f"TensorFlow's kernel: Keras' `fit` does {fit['fit_steps_per_second']:,} steps/s, the training loop "
        f"{fit['loop_steps_per_second']:,} (one stream each).",
    ]  # fmt: skip


def _machine() -> str:
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


if __name__ == "__main__":
    main()
