"""What is wrong with the measurements' arguments is one line, before anything is measured."""

from __future__ import annotations

import importlib

import pytest


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("text\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "without_eval/artifacts/Transform/transformed_examples/6/Split-train").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("module", "arguments", "message"),
    [
        ("bench", ["--corpus", "nowhere"], "argument --corpus: corpus nowhere: no file matches"),
        ("bench", ["--seeds", "0"], "argument --seeds: expected a whole number from 1"),
        ("bench", ["--epochs", "many"], "argument --epochs: expected a whole number from 1"),
        ("bench", ["--seconds", "nan"], "argument --seconds: expected a number from 0.1"),
        ("evaluation", ["--model", "nowhere"], "argument --model: nowhere: expected a folder"),
        ("evaluation", ["--model", "empty"], "argument --model: empty: no saved_model.pb"),
        ("evaluation", ["--words", "-5"], "argument --words: expected a whole number from 2"),
        ("hostile", ["--model", "file"], "argument --model: file: expected a folder"),
        ("hostile", ["--model", "empty"], "argument --model: empty: expected a folder of pushed versions"),
        ("hostile", ["--model", "a\0b"], "argument --model: a\\x00b: expected a folder"),
        ("hostile", ["--model", "empty", "--requests", "-1"], "argument --"),
        ("serving", [], "--model"),
        ("serving", ["--model", "nowhere"], "argument --model: nowhere: expected a folder"),
        ("serving", ["--clients", "0"], "argument --clients: expected a whole number from 1"),
        ("scaling", [], "no file matches"),
        ("scaling", ["--corpus", "nowhere/*"], "--corpus nowhere/*: no file matches"),
        ("scaling", ["--vocabulary", "1"], "argument --vocabulary: expected a whole number from 2"),
        ("reliability", ["--times", "0"], "argument --times: expected a whole number from 1"),
        ("reliability", ["--random", "-1"], "argument --random: "),
        ("variations", ["--run", "empty"], "argument --run: empty: no run of the pipeline"),
        ("nce", ["--run", "empty"], "argument --run: empty: no run of the pipeline"),
        ("nce", ["--run", "without_eval"], "argument --run: without_eval: it has no split eval"),
        ("nce", ["--run", "without_eval", "--shares", "1", "nan"], "argument --shares: expected a number from 1e-06"),
        ("held_out", [], "error: expected JSON"),
        ("steps", [], "error: expected JSON"),
        ("steps", ["[]"], "error: expected JSON"),
        ("systems", ["--help"], "error: expected JSON"),
    ],
)
def test_wrong_arguments(capsys, monkeypatch, module, arguments, message):
    monkeypatch.setattr("sys.argv", [module, *arguments])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"benchmarks.{module}").main()
    said = ended.value.code if isinstance(ended.value.code, str) else capsys.readouterr().err
    assert ended.value.code == 2 or isinstance(ended.value.code, str)
    assert message in said.splitlines()[-1]
