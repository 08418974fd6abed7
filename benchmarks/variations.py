"""Trains with the default settings and with some others, one epoch per variation.

Prints what each of them does to the quality.

    python -m benchmarks.variations --run runs/bench

The run is one that is finished, such as `make bench` leaves. docs/nce.md has the figures for IMDB.
"""

from __future__ import annotations

import argparse
from typing import Any

from benchmarks import arguments, bench, markdown, systems

TEXTBOOK = {"bias": "learned", "sampler": "log_uniform"}
VARIATIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "bias: learned": {"bias": "learned"},
    "sampler: log_uniform": {"sampler": "log_uniform"},
    "bias: learned, sampler: log_uniform": TEXTBOOK,
    "sampler: uniform": {"sampler": "uniform"},
    "sampler: adaptive": {"sampler": "adaptive"},
    "noise_power: 1": {"noise_power": 1.0},
    "remove_accidental_hits: false": {"remove_accidental_hits": False},
    "window_weights: drawn": {"window_weights": "drawn"},
    "loss: sampled_softmax": {"loss": "sampled_softmax"},
    "loss: sampled_softmax, bias: learned": {"loss": "sampled_softmax", "bias": "learned"},
    "optimizer: adagrad": {"optimizer": "adagrad"},
    "optimizer: adam": {"optimizer": "adam"},
    "precision: bfloat16": {"precision": "bfloat16"},
    "deterministic: true": {"deterministic": True},
}


def main() -> None:
    """Trains, and prints one row per variation as soon as it is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=arguments.run, default=bench.RUN)
    parser.add_argument("--epochs", type=arguments.count(), default=1)
    options = parser.parse_args()
    config = systems.trainer_settings(options.run)
    print(markdown.head(["settings", "words/s", *bench.BENCHMARKS]), flush=True)
    for name, settings in VARIATIONS.items():
        changed = {**config, "trainer": {**config["trainer"], **settings}}
        row = bench.train("tfx-word2vec", 1, options.epochs, changed, run=options.run)
        scores = [f"{row[benchmark]:.3f}" for benchmark in bench.BENCHMARKS]
        print(markdown.row([f"`{name}`", f"{row['words_per_second']:,}", *scores]), flush=True)


if __name__ == "__main__":
    main()
