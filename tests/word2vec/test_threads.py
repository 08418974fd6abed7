from __future__ import annotations

import os

import pytest

from word2vec import threads


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "150000 100000"}, 1.5),
        ({"cpu.max": "max 100000"}, float("inf")),
        ({"cpu/cpu.cfs_quota_us": "400000", "cpu/cpu.cfs_period_us": "100000"}, 4),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, float("inf")),
        ({"cpu.max": "nonsense"}, float("inf")),
        ({}, float("inf")),
    ],
)
def test_a_containers_share_of_the_cores(tmp_path, files, cores):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{text}\n")
    assert threads._quota(tmp_path) == cores


@pytest.mark.parametrize(("quota", "expected"), [(0.5, 1), (1, 1), (float("inf"), None), (1.9, 1)])
def test_cores_are_whole_and_at_least_one(monkeypatch, quota, expected):
    monkeypatch.setattr(threads, "_quota", lambda: quota)
    assert threads.cores() == (expected or len(os.sched_getaffinity(0)))
