"""What Beam is told for each engine: the settings in `beam`, as its options."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import difflib
import os
import pathlib
import re
import shutil
import socket
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import NoReturn

from pipeline import nodes
from pipeline.configs import BeamConfig
from word2vec.errors import UserError, printable, reason

# Starting one process per core costs some 20 s, which Transform wins back from here on (docs/design.md).
BYTES_WORTH_MORE_PROCESSES = 200_000_000

# One thread per core costs 2 s, for Beam then talks to itself by gRPC, and wins back 7 s of 41 with 100 MB of text:
# with 23 MB it took 28 to 31 s where one thread for all took 28.
BYTES_WORTH_MORE_THREADS = 40_000_000

_CONNECT_SECONDS = 5

# The masters of Flink and of Spark that are no HOST:PORT.
_NAMES = {
    "flink": re.compile(r"\[(local|auto|collection)\]"),
    "spark": re.compile(r"local(\[.*\]|-cluster\[.*\])?|yarn|(k8s|mesos):.*"),
}

# By its class: the name DirectRunner would make Beam look for another runner on the network first.
_DIRECT = "--runner=apache_beam.runners.portability.fn_api_runner.fn_runner.FnApiRunner"

# TFX packs its own sources for the workers, in two seconds per component, unless an option says that they have them.
# This option says so, and nobody who runs Python where it was started looks at it.
_NOTHING_TO_SEND = "--sdk_container_image=none"

_SETUP_FILE = pathlib.Path(__file__).parent.parent / "setup.py"

# Without it, Flink gives a batch up with its first lost worker.
_FLINK_CONFIGURATION = pathlib.Path(__file__).parent / "flink"


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Beam's options, by what a component has to do.

    Attributes:
        text: of ExampleGen and StatisticsGen.
        transform: of Transform, which has the most to do.
        evaluator: of the Evaluator, which never sees the text, and so runs where it is started.
    """

    text: list[str]
    transform: list[str]
    evaluator: list[str]

    def of(self, component: str) -> list[str]:
        """Those of a component by its name; none where Beam has no part in it."""
        node = nodes.OF.get(nodes.component_of(component))
        return getattr(self, node.beam) if node and node.beam else []


def arguments(beam: BeamConfig, text_bytes: int | None) -> Arguments:
    """Beam's options.

    Args:
        beam: the settings.
        text_bytes: about how much text there is; None where that is not known.

    Raises:
        UserError: the package is to be sent to workers, and its setup.py is not here.
    """
    cores = os.cpu_count() or 1
    is_much = text_bytes is not None and text_bytes > BYTES_WORTH_MORE_PROCESSES
    is_little = text_bytes is not None and text_bytes < BYTES_WORTH_MORE_THREADS
    direct = [_DIRECT, _NOTHING_TO_SEND]
    if beam.runner != "direct":
        workers = beam.workers or cores
        where = _package(beam) if is_remote(beam) else [_NOTHING_TO_SEND, *_loopback(workers if is_much else 1)]
        engine = [*_ENGINES[beam.runner](beam, workers), *where, *beam.options]
        return Arguments(engine, engine, direct)
    direct += beam.options
    workers = beam.workers or (1 if is_little else cores)
    if workers == 1:
        return Arguments(direct, direct, direct)
    # TensorFlow has most of Transform's work, and does not hold Python's lock.
    mode = "multi_processing" if beam.workers or is_much else "multi_threading"
    several = [*direct, f"--direct_running_mode={mode}", f"--direct_num_workers={workers}"]
    return Arguments(direct, several, direct)


def check(beam: BeamConfig) -> None:
    """Makes sure that the engine can be started from here, before anything long begins.

    Raises:
        UserError: it can't.
    """
    options = _check_options(beam)
    for setting, address in _addresses(beam, options):
        _check_address(setting, address)
    if beam.runner not in ("flink", "spark") or "--job_endpoint" in options:
        return
    java = options.get("--job_server_java_launcher", "java")
    if not shutil.which(java):
        raise UserError(
            f"beam.runner = {beam.runner}: there is no {java!r}, in which Beam's job server runs. Install Java 11 or "
            "newer, or name a job server that runs elsewhere: beam.options=[--job_endpoint=HOST:8099]"
        )
    jar = options.get("--flink_job_server_jar", "")
    if jar and "://" not in jar and not os.path.exists(jar):
        raise UserError(
            f"beam.options: --flink_job_server_jar={jar}: there is no such file (docs/scaling.md makes one)"
        )


def _check_options(beam: BeamConfig) -> dict[str, str]:
    """The further options by name; Beam itself only warns of one that it does not know."""
    if not beam.options:
        return {}
    for option in beam.options:
        if not option.startswith("--") or not option.strip("-"):
            raise UserError(f"beam.options: {printable(option)}: expected --name=value or --name")
    from apache_beam.options import pipeline_options

    class Parser(pipeline_options._BeamArgumentParser):
        def error(self, message: str) -> NoReturn:
            raise UserError(f"beam.options: Beam does not take them: {printable(message)}")

    parser = Parser(allow_abbrev=False)
    for kind in {str(kind): kind for kind in pipeline_options.PipelineOptions.__subclasses__()}.values():
        with contextlib.suppress(argparse.ArgumentError):  # options of the tests' own, which are there twice
            kind._add_argparse_args(parser)
    _, unknown = parser.parse_known_args(beam.options)
    known = [name for action in parser._actions for name in action.option_strings if name.startswith("--")]
    for option in unknown:
        name = option.partition("=")[0]
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
        # Flink's and Spark's job servers, in Java, have further ones, which nobody knows who has not asked them.
        if near or beam.runner not in ("flink", "spark"):
            hint = f". Did you mean {near[0]}?" if near else ""
            raise UserError(f"beam.options: {printable(name)}: Beam has no such option{hint}")
    options = dict(option.partition("=")[::2] for option in beam.options)
    if "--runner" in options:
        raise UserError("beam.options: --runner: set beam.runner instead")
    return options


def _addresses(beam: BeamConfig, options: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The addresses that the engine is asked at, with their settings."""
    if endpoint := options.get("--job_endpoint"):
        yield "beam.options: --job_endpoint", endpoint
    elif beam.master and beam.runner != "direct" and not _is_name(beam):
        yield "beam.master", beam.master


def _is_name(beam: BeamConfig) -> bool:
    names = _NAMES.get(beam.runner)
    return names is not None and beam.master is not None and names.fullmatch(beam.master) is not None


def _check_address(setting: str, address: str) -> None:
    """Makes sure that something answers there, for Beam waits for minutes."""
    shown = f"{setting} = {printable(address)}"
    try:
        parts = urllib.parse.urlsplit(address if "://" in address else f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise UserError(f"{shown}: expected HOST:PORT")
    try:
        socket.create_connection((host, port), _CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        why = reason(error, with_file=False)
        raise UserError(f"{shown}: cannot be reached: {why}. Is it started, and is the address right?") from None


def is_remote(beam: BeamConfig) -> bool:
    """Whether the workers are in other containers or on other machines, with files of their own."""
    return beam.runner == "dataflow" or (beam.runner != "direct" and beam.master is not None)


def _flink(beam: BeamConfig, workers: int) -> list[str]:
    return [
        "--runner=FlinkRunner",
        f"--flink_master={beam.master or '[local]'}",
        f"--parallelism={workers}",
        "--faster_copy",  # Beam forbids to change an element in place, so that Flink need not copy them
        *([] if beam.master else [f"--flink_conf_dir={_FLINK_CONFIGURATION}"]),
    ]


def _spark(beam: BeamConfig, workers: int) -> list[str]:
    return ["--runner=SparkRunner", f"--spark_master_url={beam.master or f'local[{workers}]'}"]


def _dataflow(beam: BeamConfig, workers: int) -> list[str]:
    return ["--runner=DataflowRunner", f"--num_workers={workers}"]


def _prism(beam: BeamConfig, workers: int) -> list[str]:
    del workers  # Prism takes what there is
    return ["--runner=PrismRunner", *([f"--job_endpoint={beam.master}"] if beam.master else [])]


def _loopback(processes: int) -> list[str]:
    """Without a cluster, Python's part runs in the process that submits, or beside it."""
    thread = ["--environment_type=LOOPBACK"]
    if processes == 1:
        return thread
    return [*thread, "--experiments=use_loopback_process_worker", f"--sdk_worker_parallelism={processes}"]


def _package(beam: BeamConfig) -> list[str]:
    """How workers on other machines come by this package."""
    if not beam.stage:
        return [_NOTHING_TO_SEND]
    if not _SETUP_FILE.exists():
        raise UserError(
            f"beam.stage: there is no {_SETUP_FILE} that would pack this package for the workers. Run from its "
            "sources, or give the workers an image that has it, and set beam.stage=false"
        )
    return [f"--setup_file={_SETUP_FILE}"]


_ENGINES = {"flink": _flink, "spark": _spark, "dataflow": _dataflow, "prism": _prism}
