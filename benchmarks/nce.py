"""NCE in earnest: what a learned bias does to the vectors, and whether what is learned is a probability.

    python local_runner.py --config imdb --name nce --corpus PATH --set 'corpus.splits={train: 49, eval: 1}'
    python -m benchmarks.nce --run runs/nce

The run is a finished one with a split eval, which is held out. Prints means over the seeds.
"""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks import arguments, bench, markdown, parts, systems

NOISES: dict[str, dict[str, Any]] = {
    "unigram^0.75": {"noise_power": 0.75},
    "unigram": {"noise_power": 1.0},
    "log-uniform": {"sampler": "log_uniform"},
}
BIASES: dict[str, dict[str, Any]] = {
    "fixed": {},
    "from 0": {"bias": "learned"},
    "from log(expected count)": {"bias": "learned", "bias_start": "expected_count"},
    "from the log of its share": {"bias": "learned", "bias_start": "share"},
}
MEASURES = (*bench.BENCHMARKS, "log_z", "log_z_sd", "as_it_stands", "normalised")


def cases(
    shares: list[float], losses: list[str], noises: list[str], biases: list[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The settings that are measured, with their names.

    Args:
        shares: the bias' learning rates, as shares of the vectors'.
        losses: what is minimised.
        noises: names of `NOISES`.
        biases: names of `BIASES`.
    """
    noise_of = {name: NOISES[name] for name in noises}
    for loss in losses:
        for noise, settings in (noise_of if loss != "full_softmax" else {"no noise": {}}).items():
            for start in biases:
                bias = BIASES[start]
                for share in shares if bias else [1.0]:
                    rate = f" at {share:g} times the rate" if bias and share != 1 else ""
                    name = f"{loss}, {noise}, bias {start}{rate}"
                    yield name, {"loss": loss, **settings, **bias, "share": share}


def main() -> None:
    """Trains, and prints one row per training as soon as it is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=arguments.run, default=pathlib.Path("runs/nce"))
    parser.add_argument("--epochs", type=arguments.count(), default=5)
    parser.add_argument("--seeds", type=arguments.count(), default=3)
    parser.add_argument("--losses", nargs="+", choices=bench.LOSSES, default=["nce"])
    parser.add_argument("--noises", nargs="+", choices=NOISES, default=list(NOISES))
    parser.add_argument("--biases", nargs="+", choices=BIASES, default=list(BIASES))
    parser.add_argument(
        "--shares",
        nargs="+",
        type=arguments.share(),
        default=[1.0, 10.0],
        help="the bias' learning rates, of the vectors'",
    )
    options = parser.parse_args()
    held_out = systems.newest(options.run, "Transform", "transformed_examples") / "Split-eval"
    if not held_out.is_dir():
        parser.error(f"argument --run: {options.run}: it has no split eval. See above how to make one that has")
    config = systems.trainer_settings(options.run)
    print(markdown.head(["settings", *MEASURES]), flush=True)
    for name, settings in cases(options.shares, options.losses, options.noises, options.biases):
        rows = [_train(options, config, settings, seed) for seed in range(1, options.seeds + 1)]
        means = (np.mean([row[measure] for row in rows]) for measure in MEASURES)
        print(markdown.row([name, *(f"{mean:.3f}" for mean in means)]), flush=True)


def _train(
    options: argparse.Namespace, config: dict[str, Any], settings: dict[str, Any], seed: int
) -> dict[str, float]:
    settings = dict(settings)
    rate = settings.pop("share") * config["trainer"]["learning_rate"]
    trainer = {**config["trainer"], **settings, "bias_learning_rate": rate, "epochs": options.epochs, "seed": seed}
    return parts.call("benchmarks.held_out", {"run": str(options.run), "config": {**config, "trainer": trainer}})


if __name__ == "__main__":
    main()
