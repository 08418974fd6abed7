"""What can be known to be wrong before a run on this machine begins, and before TensorFlow is imported."""

from __future__ import annotations

import os
import shutil
import stat

from components import files
from components.questions import files as question_files
from components.questions import halves
from pipeline import engines
from pipeline.configs import Config
from pipeline.inputs import Inputs
from word2vec import tuning
from word2vec.errors import UserError, printable, reason

# What a run puts below its folder is called so, and Linux takes so much.
_LONGEST_BELOW, _LONGEST_PATH, _LONGEST_NAME = 200, 4096, 255

# With less than this a run ends before it has begun.
_LEAST_FREE = 10_000_000


def check(config: Config) -> Inputs:
    """Makes sure that a run can begin, without a trace on the disk; returns the files that it reads.

    Raises:
        NoFileError: files that it reads are not there.
        UserError: it can't for another reason.
    """
    if "://" in config.run_folder:
        raise UserError(f"root = {printable(config.root)}: a run on this machine needs a folder of this machine")
    _check_folder(config.run_folder, f"root = {printable(config.root)}")
    if config.pusher.destination and "://" not in config.destination:
        _check_folder(config.destination, f"pusher.destination = {printable(config.pusher.destination)}")
    _check_infra_validation(config)
    engines.check(config.beam)
    tuning.check(config.tuner, config.trainer)
    inputs = Inputs.find(config)
    _check_schema(config, inputs)
    _check_benchmarks(config)
    return inputs


def _check_folder(path: str, setting: str) -> None:
    """Makes sure that a folder is there and can be written to, or can be made."""
    try:
        raw = os.fsencode(path)
    except UnicodeEncodeError:
        raise UserError(f"{setting}: no file system has such a name") from None
    if len(raw) + _LONGEST_BELOW > _LONGEST_PATH or any(len(name) > _LONGEST_NAME for name in raw.split(b"/")):
        raise UserError(f"{setting}: is too long for a path")
    try:
        there = _nearest(path)
        if not stat.S_ISDIR(os.stat(there).st_mode):
            raise UserError(f"{setting}: {printable(there)} is no folder. Expected a folder, or one that can be made")
        usage = shutil.disk_usage(there)
    except OSError as error:
        raise UserError(f"{setting}: {reason(error)}") from None
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"{setting}: {printable(there)} cannot be written to")
    if usage.total and usage.free < _LEAST_FREE:
        raise UserError(f"{setting}: the disk is full, {usage.free / 1e6:.0f} MB are free. Make room, or name another")


def _nearest(path: str) -> str:
    """The path, or the nearest above it that there is."""
    while True:
        try:
            os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            path = os.path.dirname(path)
        else:
            return path


def _check_infra_validation(config: Config) -> None:
    """Makes sure that TF Serving can be started."""
    if config.serving.infra_validation == "kubernetes":
        raise UserError(
            "serving.infra_validation = kubernetes: works within a cluster. For this machine set it to docker"
        )
    if config.serving.infra_validation == "docker":
        import docker

        try:
            docker.from_env().ping()
        except docker.errors.DockerException as error:
            raise UserError(
                f"serving.infra_validation = docker: Docker does not answer: {reason(error)}. Start it, or set "
                "serving.infra_validation=off"
            ) from None


def _check_schema(config: Config, inputs: Inputs) -> None:
    path, found = files.absolute(config.corpus.schema_file), [file.path for file in inputs.schema]
    setting = f"corpus.schema_file = {printable(config.corpus.schema_file)}"
    if len(found) != 1:
        raise UserError(f"{setting}: expected one file, found {len(found)}")
    if "://" in path:
        return
    if found != [path]:
        raise UserError(f"{setting}: expected a file, not a folder or a glob, as {printable(found[0])}")
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    try:
        with open(path, encoding="utf-8") as file:
            schema = text_format.Parse(file.read(), schema_pb2.Schema())
    except text_format.ParseError as error:
        where = f", line {error.GetLine()}" if error.GetLine() else ""
        raise UserError(f"{setting}{where}: no TFDV schema: {reason(error)}") from None
    except UnicodeDecodeError:
        raise UserError(f"{setting}: no TFDV schema: not UTF-8. Expected a schema as text (.pbtxt)") from None
    except OSError as error:
        raise UserError(f"{setting}: {reason(error, with_file=False)}") from None
    if not schema.feature:
        raise UserError(f"{setting}: no TFDV schema: it has no feature. Expected one that is named text")


def _check_benchmarks(config: Config) -> None:
    """Makes sure that each line is a question, and that each threshold has some, of the gate's half if there is one."""
    questions, thresholds = question_files.read_all(config.evaluator.benchmarks), config.evaluator.thresholds
    question_files.check_thresholds(thresholds, questions)
    if config.tuner.is_on:
        halves.check(thresholds, config.tuner.weights, *halves.split(questions, config.tuner.questions_seed))
