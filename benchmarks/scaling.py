"""What the components that read the text cost: time, and bytes read, written and shuffled, by engine and size.

    python -m benchmarks.scaling --corpus 'imdb/*.gz' --files 6 --engines direct:1 direct:2 flink:2 --jar JAR
    python -m benchmarks.scaling --corpus 'imdb/*.gz' --files 1 3 6 --engines direct:1 cluster:2 --jar JAR
    python -m benchmarks.scaling --vocabulary 1000000 4000000

`flink` is Beam's mini-cluster; `cluster` a Flink of several processes: a job manager, a task manager, and a pool of
Python workers, as on Kubernetes. Its REST interface tells what was shuffled. Bytes read and written are what the
kernel counted for the process, with temporary files; that is asked of the direct runner with one worker, in which
nothing else passes through files. Every run is a process of its own; of all, the results must be the same.
"""

from __future__ import annotations

import argparse
import contextlib
import glob
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks import arguments, parts
from pipeline import nodes

TEXT = ("ExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator", "Transform")  # nodes.ON_THE_ENGINE, and between
REST = "http://127.0.0.1:18081"
POOL_PORT = 18082

_CLUSTER = {
    "jobmanager.rpc.address": "127.0.0.1",
    "jobmanager.rpc.port": 18083,
    "jobmanager.memory.process.size": "1600m",
    "rest.address": "127.0.0.1",
    "rest.port": 18081,
    "taskmanager.host": "127.0.0.1",
    "taskmanager.cpu.cores": 2.0,
    "taskmanager.memory.task.heap.size": "2g",
    "taskmanager.memory.task.off-heap.size": "128m",
    "taskmanager.memory.framework.heap.size": "128m",
    "taskmanager.memory.framework.off-heap.size": "128m",
    "taskmanager.memory.managed.size": "1g",
    "taskmanager.memory.network.min": "1g",
    "taskmanager.memory.network.max": "1g",
    "taskmanager.memory.jvm-metaspace.size": "256m",
    "taskmanager.memory.jvm-overhead.min": "192m",
    "taskmanager.memory.jvm-overhead.max": "192m",
}


def main(argv: list[str] | None = None) -> None:
    """Runs every engine on every size, and prints one row per run; `--output` gets all of it as JSON lines."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.one:
        print("RESULT " + json.dumps(_run(options)))
        return
    corpus = [os.path.abspath(path) for path in sorted(glob.glob(options.corpus))]
    if not corpus and not options.vocabulary:
        parser.error(f"--corpus {options.corpus}: no file matches")
    for words in options.vocabulary or ():
        with tempfile.TemporaryDirectory() as folder:
            corpus = [_write_distinct(folder, words)]
            _print(_in_a_process(options, corpus, "direct:1"))
            options.top = words - 1
            _print(_in_a_process(options, corpus, "direct:1"))
            corpus, options.top = [], None
    if not corpus:
        return
    digests: dict[int, str] = {}
    for files in options.files or [len(corpus)]:
        for engine in options.engines:
            row = _in_a_process(options, corpus[:files], engine)
            _print(row)
            if digests.setdefault(files, row["digest"]) != row["digest"]:
                raise SystemExit(f"error: {engine} gave another result than {options.engines[0]}")
            if options.output:
                with open(options.output, "a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", default="", help="a glob")
    parser.add_argument(
        "--vocabulary", type=arguments.count(2), nargs="+", help="or made up texts of so many distinct words"
    )
    parser.add_argument(
        "--files", type=arguments.count(), nargs="+", help="how many of its files, for each size; by default all"
    )
    parser.add_argument("--engines", nargs="+", default=["direct:1"], help="direct, flink or cluster, and its workers")
    parser.add_argument("--jar", help="Flink's job server (deploy/flink/pom.xml)")
    parser.add_argument("--output", help="a file for the rows")
    parser.add_argument("--top", type=arguments.count(), help="skipgram.max_vocabulary")
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    return parser


def _write_distinct(folder: str, words: int) -> str:
    """Writes texts in which so many distinct words occur five times each; returns the path."""
    path = os.path.join(folder, "distinct.txt")
    ids = np.random.default_rng(1).permutation(np.tile(np.arange(words), 5))
    with open(path, "w", encoding="utf-8") as file:
        for document in np.array_split(ids, max(1, len(ids) // 1000)):
            file.write(" ".join(f"word{one:09d}" for one in document) + "\n")
    return path


def _in_a_process(options: argparse.Namespace, corpus: list[str], engine: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.scaling", "--corpus", "-", "--engines", engine, "--one", *corpus]
    command += ["--jar", options.jar] if options.jar else []
    command += ["--top", str(options.top)] if options.top else []
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        if engine.startswith("cluster"):
            stack.enter_context(_cluster(options.jar, pathlib.Path(folder), int(engine.partition(":")[2])))
        done = subprocess.run(command, cwd=folder, env=_environment(), capture_output=True, text=True, check=False)
    results = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not results:
        raise SystemExit(f"error: {engine}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return {"engine": engine, "files": len(corpus), **json.loads(results[0].removeprefix("RESULT "))}


def _environment() -> dict[str, str]:
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return {**os.environ, "PYTHONPATH": here, "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"}


@contextlib.contextmanager
def _cluster(jar: str, folder: pathlib.Path, slots: int) -> Iterator[None]:
    """A Flink with a task manager of so many slots, and a pool of Python workers beside it."""
    settings = {**_CLUSTER, "taskmanager.numberOfTaskSlots": slots, "taskmanager.tmp.dirs": str(folder)}
    (folder / "config.yaml").write_text("".join(f"{key}: {value}\n" for key, value in settings.items()))
    flink = "org.apache.flink.runtime"
    java = ["java", "-cp", jar]
    commands = [
        [*java, "-Xmx1g", f"{flink}.entrypoint.StandaloneSessionClusterEntrypoint", "--configDir", str(folder)],
        [
            *java,
            "-Xmx2200m",
            "-XX:MaxDirectMemorySize=1500m",
            f"{flink}.taskexecutor.TaskManagerRunner",
            "--configDir",
            str(folder),
        ],
        [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={POOL_PORT}"],
    ]
    with open(folder / "cluster.log", "wb") as log:
        processes = [subprocess.Popen(one, stdout=log, stderr=log, cwd=folder, env=_environment()) for one in commands]
    try:
        for _ in range(60):
            with contextlib.suppress(OSError):
                if _get("/overview")["slots-available"] == slots:
                    break
            time.sleep(1)
        else:
            raise SystemExit("error: Flink does not start:\n" + (folder / "cluster.log").read_text()[-3000:])
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(30)


def _get(path: str) -> Any:
    with urllib.request.urlopen(REST + path, timeout=10) as answer:
        return json.load(answer)


class _Observer:
    """Notes what each component cost."""

    def __init__(self, has_rest: bool):
        self._has_rest = has_rest
        self._seen: set[str] = set()
        self._before: dict[str, int] = {}
        self.rows: dict[str, dict[str, float]] = {}

    def started(self, component: str) -> None:
        self._before = _io()

    def ended(self, run: Any) -> None:
        after = _io()
        row = {"seconds": run.seconds, **{key: after[key] - self._before[key] for key in after}}
        if self._has_rest:
            jobs = {job["jid"] for job in _get("/jobs/overview")["jobs"]} - self._seen
            self._seen |= jobs
            row["shuffled"] = sum(map(_shuffled, jobs))
        self.rows[run.component] = row


def _io() -> dict[str, int]:
    """Bytes that this process has read and written since it began."""
    with open("/proc/self/io", encoding="ascii") as file:
        counts = dict(line.split(": ") for line in file.read().splitlines())
    return {"read": int(counts["rchar"]), "written": int(counts["wchar"])}


def _shuffled(job: str) -> int:
    """Bytes that a job's tasks got from others by a key, or spread over all; without what was handed straight on."""
    details = _get(f"/jobs/{job}")
    plan = {node["id"]: node for node in details["plan"]["nodes"]}
    total = 0
    for vertex in details["vertices"]:
        strategies = [given["ship_strategy"] for given in plan[vertex["id"]].get("inputs", [])]
        if strategies and not any(one.startswith(("Forward", "Broadcast")) for one in strategies):
            total += vertex["metrics"]["read-bytes"]
    return total


def _run(options: argparse.Namespace) -> dict[str, Any]:
    """In a process of its own: one engine on one corpus."""
    from tfx import v1 as tfx
    from tfx.dsl.compiler import compiler

    from pipeline import beam_workers, config_files, engines, inputs, local
    from pipeline.pipeline import create_pipeline

    beam_workers.register()
    (engine,) = options.engines
    runner, _, workers = engine.partition(":")
    beam: dict[str, Any] = {"runner": "direct" if runner == "direct" else "flink", "workers": int(workers or 1)}
    if runner != "direct":
        beam["options"] = ["--flink_version=1.19", f"--flink_job_server_jar={options.jar}"]
    if runner == "cluster":
        beam |= {"master": REST, "stage": False}
        beam["options"] += [
            "--environment_type=EXTERNAL",
            f"--environment_config=localhost:{POOL_PORT}",
            f"--sdk_worker_parallelism={workers}",
        ]
    config = config_files.load(
        None,
        values={
            "name": "scaling",
            "corpus": {"paths": options.one},
            "skipgram": {"max_vocabulary": options.top},
            "beam": beam,
        },
    )
    root = os.path.abspath("run")
    text_bytes = 10**9 if runner == "flink" and workers != "1" else 0  # enough text to be worth one process per worker
    dag = create_pipeline(
        config,
        fingerprints=inputs.Inputs.find(config).fingerprints,
        root=root,
        checkpoints=root,
        beam=engines.arguments(config.beam, text_bytes),
    )
    dag.metadata_connection_config = tfx.orchestration.metadata.sqlite_metadata_connection_config(f"{root}.sqlite")
    observer = _Observer(has_rest=runner == "cluster")
    runner = local.LocalRunner(observer, root, f"{root}.json", f"{root}-notes.json")
    compiled = compiler.Compiler().compile(dag)
    for node in [node for node in compiled.nodes if node.pipeline_node.node_info.id not in TEXT]:
        compiled.nodes.remove(node)
    runs = runner.run_with_ir(compiled)
    return {**_facts(runs), "components": {name: observer.rows[name] for name in TEXT if name in observer.rows}}


def _facts(runs: dict[str, Any]) -> dict[str, Any]:
    """What was made, in numbers, and a digest of all of it."""
    from components.corpus.report import CorpusReport
    from word2vec import vocabulary

    (graph,), (pairs,) = (runs["Transform"].outputs[key] for key in ("transform_graph", "transformed_examples"))
    (examples,) = runs["ExampleGen"].outputs["examples"]
    assets = pathlib.Path(graph.uri, "transform_fn", "assets")
    digest, sizes = hashlib.sha256(), {}
    for name, folder in (("examples", examples.uri), ("pairs", pairs.uri), ("vocabulary", assets)):
        files = sorted(path for path in pathlib.Path(folder).rglob("*") if path.is_file())
        sizes[f"{name}_bytes"] = sum(path.stat().st_size for path in files)
        for path in files:
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    return {
        "words": vocabulary.read_tokens(str(assets / vocabulary.TOKENS_ASSET)),
        "vocabulary": len(vocabulary.read(str(assets / vocabulary.ASSET))),
        "documents": CorpusReport.read(os.path.join(examples.uri, CorpusReport.FILE)).documents,
        **sizes,
        "digest": digest.hexdigest()[:16],
        "peak_mib": parts.peak_mib(),
    }


def _print(row: dict[str, Any]) -> None:
    millions = row["words"] / 1e6
    total = sum(one["seconds"] for one in row["components"].values())
    print(
        f"{row['engine']}, {row['files']} files: {row['documents']:,} documents, {row['words']:,} words, "
        f"{row['vocabulary']:,} in the vocabulary, {total:.0f} s, {row['peak_mib']:,} MiB, result {row['digest']}"
    )
    for name in nodes.ON_THE_ENGINE:
        one = row["components"][name]
        bytes_ = ", ".join(
            f"{key} {one[key] / millions / 1e6:.2f}" for key in ("read", "written", "shuffled") if key in one
        )
        print(f"  {name:<14} {one['seconds']:7.1f} s   MB per million words: {bytes_}", flush=True)


if __name__ == "__main__":
    main()
