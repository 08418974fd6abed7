"""Runs that are killed at the worst instants: the same command then ends as if nothing had happened."""

from __future__ import annotations

import pytest

from benchmarks import reliability


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory):
    return reliability.Rehearsal(tmp_path_factory.mktemp("kills"), seed=1)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("instant", reliability.INSTANTS, ids=lambda instant: instant.name)
def test_killed_where_files_change(rehearsal, instant):
    for outcome in rehearsal.at(instant, times=1):
        assert outcome.kills == 1
        assert outcome.is_good, outcome


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_killed_while_transform_runs_in_two_processes(rehearsal):
    for outcome in rehearsal.in_transform(times=1):
        assert outcome.is_good, outcome


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_killed_at_random(rehearsal):
    for outcome in rehearsal.at_random(times=1):  # python -m benchmarks.reliability does it more often
        assert outcome.is_good, outcome


def test_what_is_left_over_is_found(tmp_path):
    for name in ("metadata.sqlite", "serving_model/.pushing-1/x", "checkpoints/0f/step-1/x", "a.new", "fine"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "metadata.sqlite").unlink()
    assert sorted(reliability.left_over(tmp_path)) == [
        "a.new",
        "checkpoints/0f",
        "no metadata",
        "serving_model/.pushing-1",
    ]
