"""docs/BENCHMARKS.md says what was measured."""

from __future__ import annotations

import argparse
import pathlib

from benchmarks import bench_report, systems

CONFIG = {
    "trainer": {"dimensions": 8, "negatives": 5, "block_length": 24, "shared_negatives": 20},
    "skipgram": {"min_count": 5, "window": 5, "subsampling": 0.001},
}


def row(name, seed, speed, score, epochs=5):
    quality = dict.fromkeys((*systems.BENCHMARKS, *systems.SECOND_HALF), score)
    more = {"vocabulary": 7, "input_wait": 0.01} if name != "gensim" else {}
    return {
        "name": name,
        "seed": seed,
        "epochs": epochs,
        "words_per_second": speed,
        "peak_rss_mib": 10,
        **quality,
    } | more


def found():
    options = argparse.Namespace(corpus="here/imdb/*.gz", threads=2, seconds=40.0)
    made = bench_report.Measurements(options, CONFIG)
    made.sides += [row("gensim", seed, speed, 0.25) for seed, speed in ((1, 100), (2, 110), (3, 400))]
    made.sides += [row(bench_report.OURS, seed, 1_320, 0.25 + seed / 100) for seed in (1, 2, 3)]
    made.sides += [row(bench_report.QUALITY, 1, 440, 0.3, epochs=10)]
    return made


def test_a_page_is_as_wide_as_others():
    lines = bench_report.page(found()).split("\n")
    assert all(len(line) <= 120 for line in lines if not line.startswith("|"))
    assert sum(line.startswith("| gensim |") for line in lines) == 5


def test_speed_is_the_median_and_quality_the_mean():
    rows = {cells[0]: cells for cells in bench_report._rows(bench_report._by_system(found().sides))}
    assert rows["gensim"][1:6] == ["5", "3", "110", "1.0", "1.00"]
    assert rows[bench_report.OURS][3:6] == ["1,320", "12.0", "0.08"]
    assert rows[bench_report.OURS][6:] == ["0.270", "0.270", "0.270", "0.270", "10"]
    # Four times as fast, but twice as many epochs: half of the time.
    assert rows[bench_report.QUALITY][1:6] == ["10", "1", "440", "4.0", "0.50"]


def test_the_page_has_what_was_measured():
    made = found()
    assert "## Cores" not in bench_report.page(made)
    made.cores, made.shapes = {1: [10, 30, 20], 2: [38, 90, 37]}, {(2, 128): (900, 300)}
    text = bench_report.page(made)
    assert "| 2 | 38 | 1.90 |" in text
    assert "| 2 | 128 | 900 | 300 | 3.0 |" in text
    assert "`imdb/*.gz`, 7 words" in text


def test_the_second_half_is_every_other_question(tmp_path):
    for path in systems._files():
        whole = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
        half = pathlib.Path(systems._second_half(path, str(tmp_path))).read_text(encoding="utf-8").splitlines()
        headings = [line for line in whole if line[0] in ":#"]
        assert [line for line in half if line[0] in ":#"] == headings
        assert [line for line in half if line[0] not in ":#"] == [line for line in whole if line[0] not in ":#"][1::2]
