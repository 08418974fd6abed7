"""What is wrong with settings, files and command lines is said in one line, before anything is made or imported."""

from __future__ import annotations

import gzip
import os
import re
import socket
import subprocess
import sys
import time

import pytest

import kubeflow_runner
import local_runner
from tests.e2e.conftest import ROOT

CORPUS = "corpus: {paths: [builtin://wikipedia]}\n"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with what the table names."""
    (tmp_path / "file").write_text("text\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "pairs.tsv").write_text("cat\tdog\t3\n")
    (tmp_path / "binary.pbtxt").write_bytes(b"\x00\xff\xfe")
    (tmp_path / "none.pbtxt").write_text("feature {\n  nme: 'text'\n}\n")
    (tmp_path / "void.pbtxt").write_text("")
    (tmp_path / "odd.tsv").write_text("cat\tdog\t3\ncat\tcow\t\n")
    (tmp_path / "wide.tsv").write_text("\x1b[2J" * 5000)
    (tmp_path / "cut.tsv.gz").write_bytes(gzip.compress(b"cat\tdog\t3\n")[:-4])
    (tmp_path / "broken.yaml").write_text("root: [")
    (tmp_path / "lead").symlink_to(tmp_path / "nowhere" / "at all")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def refuse(place, capfd):
    """Runs a command line that must be refused, and returns what it says."""

    def run(main, *arguments):
        before = sorted(place.rglob("*"))
        code = main(list(arguments))
        said = capfd.readouterr()
        assert (code, said.out) == (1, ""), said
        assert len(re.findall("^error:", said.err, re.MULTILINE)) == 1, said.err
        assert "Traceback" not in said.err
        assert not re.search(r"^error: \w*(Error|Exception|Exit)\b", said.err), said.err
        assert sorted(place.rglob("*")) == before
        assert all(letter.isprintable() or letter == "\n" for letter in said.err), said.err
        assert len(said.err) < 2000
        return said.err

    return run


HUGE = "9" * 30
SETTINGS = {
    # Whole numbers: their sign, size, form.
    **{f"{key}={value}": f"{key} = " for key in (
        "skipgram.seed", "trainer.seed", "evaluator.seed", "report.seed", "trainer.dimensions", "trainer.epochs",
        "trainer.negatives", "corpus.shards", "corpus.max_document_bytes", "skipgram.min_count", "beam.workers",
        "report.map_words", "serving.loading_seconds", "trainer.warmup_steps", "evaluator.bootstrap_samples",
    ) for value in ("-1", HUGE, "true", "1.5", "lots", "[1]", "1e26")},
    "trainer.dimensions=" + "9" * 5000: "no whole number",
    "trainer.epochs=": "trainer.epochs = None",
    "trainer.epochs=1:30": "trainer.epochs = '1:30'",
    "trainer.epochs=.inf": "trainer.epochs = inf",
    "skipgram.window=101": "skipgram.window = 101",
    # Numbers.
    **{f"{key}={value}": f"{key} = " for key in (
        "trainer.learning_rate", "skipgram.subsampling", "trainer.noise_power", "corpus.max_skipped_share",
        "evaluator.min_coverage", "trainer.checkpoint_seconds", "evaluator.thresholds.google_analogies.absolute",
    ) for value in (".nan", ".inf", "1e999", "-2", "true", "much")},
    # Text, lists, groups and choices.
    "corpus.paths=a.txt": "corpus.paths = 'a.txt'",
    "corpus.paths=['']": "corpus.paths.0 = ''",
    'corpus.paths=["a\\0b"]': "corpus.paths.0 = 'a\\x00b'",
    "corpus.paths=[1]": "corpus.paths.0 = 1",
    "corpus=5": "corpus = 5",
    "corpus.splits={train: 1, eval: true}": "corpus.splits.eval = True",
    "corpus.splits={1: 2}": "corpus.splits",
    "corpus.splits={train: 9, '../x': 1}": "'../x' is no name of a split",
    "corpus.splits={train: 9, '[/red]': 1}": "'[/red]' is no name of a split",
    "corpus.splits={train: 9, _a: 1}": "'_a' is no name of a split",
    "corpus.form=txt": "corpus.form = 'txt'",
    "trainer.deterministic=perhaps": "trainer.deterministic = 'perhaps'",
    "trainer=": "trainer = None",
    "trainer.loss=nceX": "trainer.loss = 'nceX'",
    "trainer.epochs={a: 1}": "trainer.epochs",
    "evaluator.thresholds=0.3": "evaluator.thresholds = 0.3",
    "evaluator.thresholds.wordsim353=high": "evaluator.thresholds.wordsim353 = 'high'",
    "evaluator.benchmarks=[]": "evaluator.benchmarks",
    "pusher.destination=''": "pusher.destination = ''",
    "root=''": "root = ''",
    "name=a b": "name = 'a b'",
    "name=a/b": "name = 'a/b'",
    "name=" + "a" * 129: "name = 'aaa",
    "name=[/bold]": "name = ",
    "name=.": "name = '.'",
    "name='a\\nb'": "name = ",
    "beam.options=--region=x": "beam.options = '--region=x'",
    # Keys.
    "=3": "--set =3: expected key=value",
    ".=3": "--set .=3: expected key=value",
    "trainer.=3": "--set trainer.=3",
    "trainer..epochs=3": "--set trainer..epochs=3",
    "trainer": "--set trainer: expected key=value",
    "trainer.epoch=3": "Did you mean trainer.epochs?",
    "trainr.epochs=3": "Did you mean trainer.",
    "trainer.epochs.a=3": "trainer.epochs",
    "[red]x=1": "[red]x: there is no such setting",
    "\x1b[31mx=1": "\\x1b[31mx: there is no such setting",
    "trainer.epochs={": "not YAML",
    "trainer={epochs: 1, epochs: 2}": "epochs is given twice",
    "trainer.epochs=!!python/object:os.system 1": "not YAML",
    "trainer.epochs=" + "[" * 3000: "nested too deep",
    # Folders.
    "root=file": "root = file: ",
    "root=file/below": "root = file/below: ",
    "root=lead": "root = lead: ",
    "root=/proc/x": "/proc",
    "root=gs://bucket/runs": "root = gs://bucket/runs",
    "root=" + "a" * 256: "is too long",
    "root=" + "a/" * 2500: "is too long",
    'root="\\ud800"': "root = \\ud800: no file system has such a name",
    "pusher.destination=file": "pusher.destination = file: ",
    "pusher.destination=file/versions": "pusher.destination = file/versions: ",
    "pusher.destination=lead/x": "pusher.destination = lead/x: ",
    "pusher.destination=" + "a" * 256: "is too long",
    # Files.
    "corpus.paths=[nowhere]": "corpus nowhere: no file matches",
    "corpus.paths=[nowhere/*.txt]": "corpus nowhere/*.txt: no file matches",
    "corpus.paths=[empty]": "corpus empty: no file matches",
    "corpus.paths=[file]": "does not tell how to read it",
    "corpus.paths=['builtin://wikipidea']": "builtin://wikipidea",
    "corpus.paths=['gopher://x/y']": "corpus gopher://x/y: ",
    "evaluator.benchmarks=[nowhere]": "benchmark nowhere: no file matches",
    "evaluator.benchmarks=['builtin://nothing']": "builtin://nothing",
    "corpus.schema_file=nowhere": "corpus.schema_file nowhere: no file matches",
    "corpus.schema_file=binary.pbtxt": "binary.pbtxt",
    "corpus.schema_file=none.pbtxt": "none.pbtxt, line 2: no TFDV schema",
    "corpus.schema_file=void.pbtxt": "void.pbtxt: no TFDV schema",
    "evaluator.thresholds={nothing: 0.3}": "evaluator.thresholds.nothing is for no benchmark",
    "evaluator.thresholds={google_analogies/nothing: 0.3}": "google_analogies/nothing is for no section",
    "evaluator.benchmarks=[odd.tsv]": "odd.tsv, line 2: ",
    "evaluator.benchmarks=[cut.tsv.gz]": "cut.tsv.gz: cannot be read",
    "evaluator.benchmarks=[binary.pbtxt]": "binary.pbtxt, line 1: ",
    "evaluator.benchmarks=[void.pbtxt]": "void.pbtxt: no question in it",
    "evaluator.benchmarks=[pairs.tsv, ./pairs.tsv, file]": "file, line 1: ",
    "evaluator.benchmarks=[wide.tsv]": "\\x1b",
    "evaluator.thresholds={'[/x]': 0.3}": "evaluator.thresholds.[/x] is for no benchmark",
    # Engines.
    "beam.options=[region=x]": "beam.options: region=x: expected --name=value",
    "beam.options=['--']": "beam.options: --: expected --name=value",
    "beam.options=[--regoin=x]": "--regoin: Beam has no such option. Did you mean --region?",
    "beam.options=[--of_nobody=1]": "--of_nobody: Beam has no such option",
    "beam.options=[--direct_num_workers=many]": "direct_num_workers",
    "beam.options=[--runner=Flink]": "--runner: set beam.runner",
    "beam={runner: prism, master: 'localhost:1'}": "beam.master = localhost:1: cannot be reached",
    "beam={runner: prism, master: local}": "beam.master = local: expected HOST:PORT",
    "beam={runner: prism, master: localhost}": "beam.master = localhost: expected HOST:PORT",
    "beam={runner: prism, master: 'localhost:99999'}": "beam.master = localhost:99999: expected HOST:PORT",
    "beam={runner: flink, master: 'http://localhost:1'}": "beam.master = http://localhost:1: cannot be reached",
    "beam={runner: spark, master: 'spark://localhost:1'}": "beam.master = spark://localhost:1: cannot be reached",
    "beam={runner: flink, options: [--job_endpoint=localhost:1]}": "--job_endpoint = localhost:1: cannot be reached",
    "serving.infra_validation=kubernetes": "serving.infra_validation = kubernetes: works within a cluster",
}  # fmt: skip


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: repr(setting[:60]))
def test_settings(refuse, setting):
    assert SETTINGS[setting] in refuse(local_runner.main, "--set", "root=runs", "--set", setting)


CONFIGS = {
    "a key twice": (
        f"name: a\n{CORPUS}trainer:\n  epochs: 1\n  seed: 2\n  epochs: 3\n",
        "line 6: .*epochs is given twi",
    ),
    "a group twice": (f"name: a\n{CORPUS}trainer: {{epochs: 1}}\ntrainer: {{seed: 1}}\n", "line 4: .*trainer is given"),
    "tabs": (f"name: a\n{CORPUS}trainer:\n\tepochs: 1\n", "line 4: not YAML"),
    "an open bracket": ("name: a\ncorpus: [", "line 2: not YAML"),
    "an open quote": ("name: 'a\ncorpus: 1", "not YAML"),
    "two colons": ("name: a: b", "line 1: not YAML"),
    "nothing": ("", "expected settings .*found nothing"),
    "a comment": ("# nothing", "expected settings .*found nothing"),
    "a list": ("- 1", "expected settings .*found list"),
    "a text": ("hello", "expected settings .*found str"),
    "a number": ("5", "expected settings .*found int"),
    "two documents": (f"name: a\n---\n{CORPUS}", "not YAML"),
    "binary": (b"\x00\x01\x02\x03", "line 1: not YAML"),
    "an image": (b"\x89PNG\r\n\x1a\n\xff\xfe", "not UTF-8"),
    "UTF-16": ("name: a\n".encode("utf-16"), "not UTF-8"),
    "Latin-1": ("name: é\n".encode("latin-1"), "not UTF-8"),
    "a control character": ("name: a\nroot: \x07", "line 2: not YAML"),
    "unknown alias": ("name: *a", "line 1: not YAML"),
    "a circle": (f"name: a\n{CORPUS}trainer: &a\n  epochs: *a\n", "values, counted as aliases"),
    "a bomb": (
        "a0: &a0 [1, 1]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)),
        "values, counted as aliases",
    ),
    "a tag": ("name: !!python/name:os.system", "line 1: not YAML"),
    "a time": ("name: !!timestamp x", "line 1: not YAML"),
    "a set": ("name: !!set {a, b}", "line 1: not YAML"),
    "a list as key": ("[1]: 2", "not YAML"),
    "a number as key": (f"1: 2\n{CORPUS}name: a", "1: "),
    "dots in keys": (f"name: a\n{CORPUS}trainer.epochs: 3\n", "trainer.epochs: there is no such setting.*indented"),
    "no corpus": ("name: a", "corpus: is needed"),
    "no name": (CORPUS, "name: is needed"),
    "a null name": (f"name:\n{CORPUS}", "name = None"),
    "a number as name": (f"name: 5\n{CORPUS}", "name = 5"),
    "huge": ("#" * 1_100_000, "larger than"),
    "a long value": (f"name: {'a ' * 100_000}\n{CORPUS}", "name = 'a a"),
    "a long key": (f"{'k' * 900}: 1\nname: a\n{CORPUS}", "kkk…: there is no such setting"),
    "steering": (f'"\\e[2J": 1\nname: a\n{CORPUS}', r"\\x1b\[2J: there is no such setting"),
    "turning": (f'"\\u202e": 1\nname: a\n{CORPUS}', r"\\u202e: there is no such setting"),
    "two lines": (f'"a\\nerror: b": 1\nname: a\n{CORPUS}', r"a\\nerror: b: there is no such setting"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_config_files(refuse, place, tmp_path_factory, case):
    content, message = CONFIGS[case]
    path = tmp_path_factory.mktemp("config") / "my [1].yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert re.search(message, refuse(local_runner.main, "--config", str(path)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "empty"], "--config empty: Is a directory"),
        (["--config", "smaple"], "--config smaple: No such file"),
        (["--config", ""], "--config : "),
        (["--config", "a" * 5000], "File name too long"),
        (["--config", "a\0b"], "--config a\\x00b: not a path"),
        (["--config", "/dev/zero"], "--config"),
        (["--config", "file/x"], "--config file/x: Not a directory"),
        (["--config", "\x1b[2J"], "--config \\x1b[2J: No such file"),
        (["--config", "\udcff"], "--config \\udcff: No such file"),
        (["--corpus", ""], "corpus.paths.0 = ''"),
        (["--corpus", "a" * 5000], "corpus aaa"),
        (["--corpus", "builtin://" + "a" * 5000], "builtin://aaa"),
        (["--corpus", "builtin://\n"], "builtin://\\n"),
        (["--corpus", "[/bold]"], "corpus [/bold]: no file matches"),
        (["--name", ""], "name = ''"),
        (["--name", " "], "name = ' '"),
        (["--corpus"], "--corpus: expected at least one"),
        (["--set"], "--set: expected one argument"),
        (["--explain"], "--explain: expected one argument"),
        (["--explain", ""], "--explain ''"),
        (["--explain", "latest"], "--explain 'latest': expected a version's number"),
        (["--explain", "-1"], "--explain"),
        (["--explain", "1" * 5000], "expected a version's number"),
        (["--explain", "١"], "expected a version's number"),
        (["--explain", "1"], "no run has been made here"),
        (["--history", "--name", "nothing"], "nothing: no run has been made here"),
        (["--history", "--explain", "1"], "not allowed with"),
        (["--nothing"], "unrecognized arguments: --nothing"),
        (["train"], "unrecognized arguments: train"),
        (["\x1b[2J"], "unrecognized arguments: \\x1b[2J"),
    ],
)
def test_command_lines(refuse, arguments, message):
    assert message in refuse(local_runner.main, *arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--wait"], "required: command"),
        (["run"], "invalid choice: 'run'"),
        (["compile", "--output", "nowhere/a.yaml"], "--output nowhere/a.yaml: expected a file in a folder"),
        (["compile", "--output", "a.json"], "--output a.json: expected a name that ends in .yaml"),
        (["compile", "--output", "a\0.yaml"], "--output a\\x00.yaml: "),
        (["compile", "--name", "A"], "name = 'A'"),
        (["compile", "--set", "trainer.epochs=true"], "trainer.epochs = True"),
        *(
            (["compile", "--set", f"kubeflow.resources.default.{key}={value}"], f"kubeflow.resources.default.{key} = ")
            for key, values in {
                "memory": ("lots", "500m", "4 Gi", "-1Gi", "0", "4GB", "1e3e", "''", "'0.0Gi'"),
                "cpu": ("many", "4Gi", "-1", "'0'", "0m", "'1,5'"),
                "gpus": ("-1", "true", "1.5", HUGE),
                "retries": ("-1", HUGE),
                "timeout_seconds": ("0", "-1"),
            }.items()
            for value in values
        ),
        (["compile", "--set", "kubeflow.root=/tmp"], "kubeflow.root = '/tmp'"),
        (["submit", "--timeout", "-1"], "--timeout: expected a number from 1"),
        (["submit", "--timeout", "nan"], "--timeout: expected a number from 1"),
        (["submit", "--timeout", "soon"], "--timeout: expected a number from 1"),
        (["submit", "--parameter", "trainer_epochs"], "--parameter trainer_epochs: expected name=value"),
        (["submit", "--parameter", "=3"], "--parameter =3: expected name=value"),
        (["submit", "--parameter", "a=1", "--parameter", "a=2"], "--parameter a: is given twice"),
        (["submit", "--parameter", "a={b: 1, b: 2}"], "b is given twice"),
        (["submit"], "kubeflow.host"),
        (["schedule"], "--cron"),
        (["schedule", "--cron", "0 3 * * *"], "expected six fields"),
        (["rehearse", "--pipeline", "broken.yaml"], "--pipeline broken.yaml: not a compiled pipeline"),
        (["rehearse", "--pipeline", "file"], "--pipeline file: not a compiled pipeline"),
        (["rehearse", "--pipeline", "empty"], "--pipeline empty: not a compiled pipeline"),
        (["rehearse", "--folder", "file/x"], "--folder "),
        (["rehearse", "--kfp", "1"], "--kfp: invalid choice"),
        (["rehearse", "--set", "trainer.strategy=multi_worker"], "there is no Kubernetes here to start a job of many"),
    ],
)
def test_kubeflow_command_lines(refuse, arguments, message):
    assert message in refuse(kubeflow_runner.main, *arguments)


def test_without_a_command_it_compiles(place, capsys):
    """As TFX's command line calls a runner."""
    assert kubeflow_runner.main([]) == 0
    assert capsys.readouterr().out.startswith("pipeline.yaml: ")
    assert (place / "pipeline.yaml").is_file()


def test_all_that_is_wrong_with_settings_is_one_error(refuse):
    said = refuse(local_runner.main, "--set", "trainer.epochs=0", "--set", "skipgram.window=0")
    assert "trainer.epochs = 0" in said
    assert "skipgram.window = 0" in said


@pytest.mark.parametrize(
    ("setting", "heavy"),
    [
        ("trainer.epochs=true", "apache_beam"),
        ("report.seed=-1", "apache_beam"),
        ("root=/dev/null", "apache_beam"),
        ("corpus.paths=[nowhere.txt]", "apache_beam"),
        ("corpus.paths=['nowhere/[z-a]*.txt']", "apache_beam"),
        ("evaluator.benchmarks=[nowhere]", "apache_beam"),
        ("corpus.schema_file=nowhere", "apache_beam"),
        ("evaluator.thresholds={nothing: 0.3}", "apache_beam"),
        ("evaluator.thresholds={google_analogies/nothing: 0.3}", "apache_beam"),
        ("evaluator.benchmarks=[pyproject.toml]", "apache_beam"),
        ("trainer.strategy=multi_worker", "apache_beam"),
        ("beam.options=[--of_nobody=1]", "tensorflow"),
    ],
)
def test_wrong_settings_cost_no_import(setting, heavy):
    program = (
        f"import sys, local_runner; code = local_runner.main(['--set', {setting!r}]); "
        f"sys.exit(code if {heavy!r} not in sys.modules else 99)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done


def test_who_does_not_answer_is_told_within_seconds(refuse, monkeypatch):
    def silent(address, timeout):
        assert timeout <= 10
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "create_connection", silent)
    began = time.monotonic()
    said = refuse(local_runner.main, "--set", "beam={runner: prism, master: '192.0.2.1:8073'}")
    assert "beam.master = 192.0.2.1:8073: cannot be reached: timed out" in said
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("environment", "shell"),
    [
        ({"COLUMNS": "abc"}, ""),
        ({"TERM": "dumb", "LINES": "-1"}, ""),
        ({"PYTHONIOENCODING": "ascii"}, ""),
        ({"PYTHONIOENCODING": "latin-1:strict"}, ""),
        ({"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, ""),
        ({"TMPDIR": "/nowhere"}, ""),
        ({"HOME": ""}, ""),
        ({}, "< /dev/null"),
        ({}, "<&-"),
    ],
)
def test_odd_environments(environment, shell, tmp_path):
    command = f'exec "$0" local_runner.py --set "trainer.epochs=✔é" {shell}'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable], cwd=ROOT, capture_output=True, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 1
    refused = rb"trainer.epochs = '\S+': input should be a valid integer|--set trainer.epochs=\S+, line 1: not YAML"
    assert re.match(rb"error: (%b).*\n$" % refused, done.stderr), done.stderr


@pytest.mark.parametrize(
    ("shell", "code", "message"),
    [
        (">&-", 1, "error: standard output is closed"),
        ("> /dev/full", 1, "error: .*No space left on device"),
        ("| true", 0, "^$"),
        ("| head -c 1 > /dev/null", 0, "^$"),
        ("2>&-", 0, "^$"),
        ("> /dev/null 2> /dev/full", 0, "^$"),
    ],
)
@pytest.mark.parametrize("program", ["local_runner.py --help", "kubeflow_runner.py compile --help"])
def test_standard_output_that_is_closed_full_or_read_by_nobody(program, shell, code, message, tmp_path):
    command = f'{{ "$0" {program}; echo $? > {tmp_path}/code; }} {shell}'
    done = subprocess.run(["sh", "-c", command, sys.executable], cwd=ROOT, capture_output=True, text=True, check=False)
    assert int((tmp_path / "code").read_text()) == code
    assert re.search(message, done.stderr), done.stderr
    assert done.stderr.count("\n") <= 1
