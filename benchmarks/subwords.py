"""Measures subwords and CBOW beside fastText and gensim, on the same tokens, and what subwords make of unknown words.

    python -m benchmarks.subwords --corpus 'reviews/*.gz'

For unknown words, half of the words of the similarity benchmarks are taken out of the text, whatever the model: then
each trains on what is left, and is asked for the pairs with one of them. Prints a row per training.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import importlib.util
import os
import pathlib
import tempfile
from typing import Any

from benchmarks import arguments, bench, markdown, parts, systems

OURS = "tfx-word2vec"
RUN, HELD_OUT = (parts.ROOT / "runs" / name for name in ("bench", "bench-held-out"))
_MEASURES = (*systems.BENCHMARKS, *(f"{name}_unknown" for name in systems.SIMILARITIES))


def main() -> None:
    """Trains, and prints a row per training as soon as it is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=arguments.corpus, default="builtin://wikipedia")
    parser.add_argument("--epochs", type=arguments.count(), default=5)
    parser.add_argument("--seeds", type=arguments.count(), default=1)
    parser.add_argument("--threads", type=arguments.count(), default=os.cpu_count(), help="gensim's and fastText's")
    parser.add_argument("--buckets", type=arguments.count(), default=2_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        whole, without = (pathlib.Path(folder, name) for name in ("whole.txt", "without.txt"))
        bench.prepare(options.corpus, "imdb", RUN)
        systems.write_tokens(RUN, whole)
        words = held_out_words()
        left = pathlib.Path(folder, "left.txt.gz")
        take_out(words, whole, left)
        bench.prepare(str(left), "imdb", HELD_OUT)
        systems.write_tokens(HELD_OUT, without)
        print(markdown.head(["system", "words/s", "peak MiB", *_MEASURES]), flush=True)
        for seed in range(1, options.seeds + 1):
            for name, system, settings in _sides(options.buckets):
                row = _measured(options, system, seed, settings, {RUN: whole, HELD_OUT: without}, words)
                scores = [f"{row[measure]:.3f}" if measure in row else "" for measure in _MEASURES]
                speed, memory = (f"{row[key]:,}" for key in ("words_per_second", "peak_rss_mib"))
                print(markdown.row([name, speed, memory, *scores]), flush=True)


def _sides(buckets: int) -> list[tuple[str, str, dict[str, Any]]]:
    """(name, system, settings of the trainer) of each that is measured."""
    subwords: dict[str, Any] = {"subwords": {"min": 3, "max": 6, "buckets": buckets}}
    cbow: dict[str, Any] = {"architecture": "cbow"}
    sides: list[tuple[str, str, dict[str, Any]]] = [
        ("subwords", OURS, subwords),
        ("gensim's FastText", "gensim", subwords),
        ("fastText", "fasttext", subwords),
        ("CBOW", OURS, cbow),
        ("gensim's CBOW", "gensim", cbow),
        ("skip-gram", OURS, {}),
        ("gensim's skip-gram", "gensim", {}),
    ]
    return [side for side in sides if side[1] != "fasttext" or importlib.util.find_spec("fasttext")]


def _measured(
    options: argparse.Namespace, system: str, seed: int, settings: dict[str, Any],
    tokens: dict[pathlib.Path, pathlib.Path], words: list[str],
) -> dict[str, Any]:  # fmt: skip
    """Speed and quality on the whole text; and where words can be composed, quality of those that were taken out."""

    def train(run: pathlib.Path, epochs: int = options.epochs, **more: Any) -> dict[str, Any]:
        config = systems.trainer_settings(run)
        config = {**config, "trainer": {**config["trainer"], **settings}}
        more |= {"tokens": str(tokens[run]), "threads": options.threads}
        return bench.train(system, seed, epochs, config, run=run, **more)

    if system == OURS:
        train(HELD_OUT, epochs=1, speed_only=True)  # compiles what these settings need, which is kept
    row = train(RUN)
    if "subwords" in settings:
        unknown = train(HELD_OUT, held_out=words)
        row |= {key: value for key, value in unknown.items() if key.endswith(("_unknown", "_pairs"))}
    return row


def held_out_words() -> list[str]:
    """Every other word of the similarity benchmarks, as chance has it."""
    words = {word for name in systems.SIMILARITIES for *pair, _ in systems.similar_pairs(name) for word in pair}
    return sorted(word for word in words if hashlib.sha256(word.encode()).digest()[0] % 2)


def take_out(words: list[str], tokens: pathlib.Path, left: pathlib.Path) -> None:
    """Writes a text, one document of tokens per line, without some words."""
    gone = frozenset(words)
    with tokens.open(encoding="utf-8") as lines, gzip.open(left, "wt", encoding="utf-8", compresslevel=1) as file:
        for line in lines:
            file.write(" ".join(word for word in line.split() if word not in gone) + "\n")


if __name__ == "__main__":
    main()
