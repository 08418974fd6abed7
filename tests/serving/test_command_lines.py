"""What ends serving's commands is told in one line; what can be known is known before TensorFlow is imported."""

from __future__ import annotations

import concurrent.futures
import os
import shutil
import socket
import subprocess
import sys

import pytest

from serving import client, export, local, release, versions, word_map
from tests.serving.conftest import ROOT, VECTORS, WORDS, make_version

PROGRAMS = {"local": local, "client": client, "export": export, "release": release}
LONG = "9" * 30

# Program, arguments ({}: a folder; {model}, {version}: a pushed model), and a part of what is told.
WRONG = [
    ("local", "--model {}/none", "no such folder"),
    ("local", "--model {}/file", "no such folder"),
    ("local", "--model {version}", "one version"),
    ("local", "--model {}", "no version"),
    ("local", "--model {model} --port 65536", "0 to 65535"),
    ("local", "--model {model} --port -1", "0 to 65535"),
    ("local", f"--model {{model}} --rest-port {LONG}", "0 to 65535"),
    ("local", "--model {model} --port 80.5", "whole number"),
    ("local", "--model {model} --port ٣", "whole number"),
    ("local", "--model {model} --port 4711 --rest-port 4711", "two ports"),
    ("local", "--model {model} --poll -1", "seconds from"),
    ("local", "--model {model} --poll 0", "seconds from"),
    ("local", "--model {model} --poll nan", "seconds from"),
    ("local", "--model {model} --poll inf", "seconds from"),
    ("local", "--model {model} --poll often", "seconds from"),
    ("local", "--model {model} --map-words -5", "whole number"),
    ("local", f"--model {{model}} --map-words {LONG}", "whole number"),
    ("local", "--model {model} --host no.such.host.invalid", "--host"),
    ("local", "--model {model} --host 203.0.113.7 --port 0", "cannot listen"),
    ("local", "--model {model} --host a..b", "--host"),
    ("local", "--model {model} --name a/b", "without /"),
    ("local", "--model {model} --name=", "without /"),
    ("client", "--timeout -1 similar tea", "seconds from"),
    ("client", "--timeout nan similar tea", "seconds from"),
    ("client", "--version -1 similar tea", "whole number"),
    ("client", f"--version {LONG} similar tea", "whole number"),
    ("client", "similar tea --topn 0", "whole number"),
    ("client", f"similar tea --topn {LONG}", "whole number"),
    ("client", "--server localhost similar tea", "port"),
    ("client", "--server localhost:99999 similar tea", "host:port"),
    ("client", "--server http:// similar tea", "host:port"),
    ("client", "--server ftp://localhost:1 similar tea", "host:port"),
    ("client", "--server http://[::1 similar tea", "host:port"),
    ("client", "--server= similar tea", "host:port"),
    ("client", "--tls --server http://localhost:1 similar tea", "https"),
    ("client", "--server https://localhost:1 --tls {}/none similar tea", "No such file"),
    ("client", "--server localhost:1 --tls {}/file similar tea", "PEM"),
    ("client", "--timeout 1 --server http://127.0.0.1:1 similar tea", "cannot be reached"),
    ("client", "--timeout 1 --server 127.0.0.1:1 similar tea", "cannot be reached"),
    ("export", "--model {}/none --form text --to {}/out", "no such folder"),
    ("export", "--model {}/file --form text --to {}/out", "a file"),
    ("export", "--model {} --form text --to {}/out", "not a pushed version"),
    ("export", "--model {model} --form text --to {}/out", "the folder of the versions"),
    ("export", "--model {version} --form text --to {}/file", "is no folder"),
    ("export", "--model {version} --form text --to {}/file/out", "is no folder"),
    ("export", "--model {version} --form text --to=", "is no folder"),
    ("export", "--model {version} --form pictures --to {}/out", "invalid choice"),
    ("release", "--model {}/none --stable 7 --to {}/x", "no such folder"),
    ("release", "--model {model} --stable 8 --to {}/x", "no such version"),
    ("release", "--model {model} --stable -7 --to {}/x", "whole number"),
    ("release", f"--model {{model}} --stable {LONG} --to {{}}/x", "whole number"),
    ("release", "--model {model} --stable 7 --canary x --to {}/x", "whole number"),
    ("release", "--model {model} --stable 7 --to {}", "expected a file"),
    ("release", "--model {model} --stable 7 --to {}/none/x", "expected a file"),
    ("release", "--model {model} --stable 7 --to {}/file/x", "expected a file"),
]


@pytest.mark.parametrize(("program", "line", "told"), WRONG, ids=[f"{one[0]} {one[1]}" for one in WRONG])
def test_wrong_arguments(program, line, told, versions_folder, tmp_path, capsys):
    (tmp_path / "file").write_text("no certificates\n")
    arguments = [
        word.replace("{}", str(tmp_path))
        .replace("{model}", str(versions_folder))
        .replace("{version}", str(versions_folder / "7"))
        for word in line.split(" ")
    ]
    try:
        code = PROGRAMS[program].main(arguments)
    except SystemExit as error:  # argparse's
        code = error.code
    last = capsys.readouterr().err.strip().splitlines()
    assert code in (1, 2)
    assert told in last[-1]
    assert code == 2 or len(last) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


@pytest.mark.parametrize(
    "damage", ["no vectors", "cut vectors", "empty words", "noise for words", "fewer words", "no index"]
)
def test_damaged_models_are_not_exported(damage, own_versions_folder, tmp_path, capsys):
    version = own_versions_folder / "7"
    words, (data,) = version / "assets" / "vocabulary", (version / "variables").glob("variables.data*")
    if damage == "no vectors":
        shutil.rmtree(version / "variables")
    if damage == "cut vectors":
        data.write_bytes(data.read_bytes()[:100])
    if damage == "empty words":
        words.write_bytes(b"")
    if damage == "noise for words":
        words.write_bytes(bytes(range(256)) * 4)
    if damage == "fewer words":
        words.write_text("".join(words.read_text().splitlines(keepends=True)[:5]))
    if damage == "no index":
        (version / "variables" / "variables.index").write_bytes(b"noise")
    assert export.main(["--model", str(version), "--form", "text", "--to", str(tmp_path / "out")]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"error: {version}: ")
    assert "damaged" in told
    assert told.count("\n") == 1
    assert not (tmp_path / "out").exists()


def run(*command, shell=False, **environment):
    return subprocess.run(
        " ".join(command) if shell else command, shell=shell, cwd=ROOT, capture_output=True, timeout=60, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip


def test_wrong_paths_are_told_before_tensorflow_is_imported(tmp_path):
    lines = [
        ("local", ["--model", str(tmp_path / "none")]),
        ("export", ["--model", str(tmp_path / "none"), "--form", "text", "--to", str(tmp_path / "out")]),
        ("release", ["--model", str(tmp_path / "none"), "--stable", "1", "--to", str(tmp_path / "x")]),
        ("client", ["--server", "localhost:99999", "similar", "tea"]),
    ]
    code = f"""
import importlib, sys
for program, arguments in {lines!r}:
    assert importlib.import_module("serving." + program).main(arguments) == 1
assert not {{"tensorflow", "grpc"}} & set(sys.modules)
"""
    done = run(sys.executable, "-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(b"\n") == len(lines)


def client_line(server, *arguments):
    return [sys.executable, "-m", "serving.client", "--server", server.rest, *arguments]


@pytest.mark.parametrize("ending", ["| head -n 1", "| true", ">&-", "> /dev/full", "2>&- | true"])
def test_whoever_reads_may_go(server, ending):
    done = run(*client_line(server, "similar", "tea", "--topn", "40"), ending, shell=True)
    assert b"Traceback" not in done.stderr
    assert b"Exception" not in done.stderr
    assert done.stderr.count(b"\n") <= 1
    if "full" in ending:
        assert done.returncode == 1
        assert done.stderr == b"error: No space left on device\n"
    elif "head" in ending:
        assert done.stdout.count(b"\n") == 1


def test_a_screen_that_lacks_letters(server):
    done = run(*client_line(server, "similar", "tea", "--topn", "49"), PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\\u6771" in done.stdout  # 東
    assert "naïve".encode("latin-1") in done.stdout


def test_the_server_goes_on_when_nobody_reads_what_it_prints(versions_folder):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "serving.local", "--model", str(versions_folder), "--port", "0", "--rest-port"]
    process = subprocess.Popen([*command, str(port)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        process.stdout.close()
        process.stderr.close()
        with client.Embeddings(f"http://127.0.0.1:{port}", timeout=60, retries=100) as words:
            assert len(words["tea"]) == VECTORS.shape[1]
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()


def test_what_would_steer_a_terminal_is_shown(tmp_path, capsys):
    folder = tmp_path / "a\nb\x1b[31m[bold]"
    assert local.main(["--model", str(folder)]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "\x1b" not in told
    assert r"a\nb\x1b[31m[bold]" in told


def test_names_of_markup_and_of_globs_stand_for_themselves(tmp_path, capsys):
    make_version(tmp_path / "[old] <b>", 7)
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        assert versions.Version(7, str(tmp_path / "[old] <b>" / "7"), threads, 1).number == 7
    assert word_map.WordMap(5)._draw(str(tmp_path / "[old] <b>" / "7"))["words"] == WORDS[:5]
    to = tmp_path / "[/bold]"
    assert export.main(["--model", str(tmp_path / "[old] <b>" / "7"), "--form", "text", "--to", str(to)]) == 0
    assert capsys.readouterr().out == f"{to / 'vectors.txt'}\n"
    assert (to / "vectors.txt").read_text().startswith(f"{len(WORDS)} ")


@pytest.mark.parametrize(
    "line",
    [
        "client --server 127.0.0.1:1 --timeout 1 similar tea",
        "export --model {version} --form text --to {version}/saved_model.pb",
        "export --model {damaged} --form text --to {damaged}/out",
        "local --model {broken} --port 0 --rest-port 0",
    ],
)
def test_nothing_but_the_error_is_printed(line, versions_folder, own_versions_folder, tmp_path):
    (tmp_path / "broken" / "1").mkdir(parents=True)
    (tmp_path / "broken" / "1" / "saved_model.pb").write_bytes(b"noise")
    (own_versions_folder / "7" / "assets" / "vocabulary").write_bytes(b"noise")
    line = line.format(version=versions_folder / "7", damaged=own_versions_folder / "7", broken=tmp_path / "broken")
    done = run(sys.executable, "-m", f"serving.{line.split()[0]}", *line.split()[1:])
    assert done.returncode == 1
    lines = [text for text in done.stderr.decode().splitlines() if " cannot be served: " not in text]
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
