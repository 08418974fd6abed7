from __future__ import annotations

import os
import socket
import tarfile

import pytest
from apache_beam.options import pipeline_options
from apache_beam.runners.portability import stager

from pipeline import engines, nodes
from pipeline.configs import BeamConfig
from word2vec.errors import UserError

FLINK = pipeline_options.FlinkRunnerOptions
PORTABLE = pipeline_options.PortableOptions


SETUP = pipeline_options.SetupOptions
WORKERS = pipeline_options.WorkerOptions


def parse(runner, text_bytes=1000, **settings):
    found = engines.arguments(BeamConfig(runner=runner, **settings), text_bytes)
    assert found.text == found.transform
    assert ".FnApiRunner" in found.evaluator[0]
    return pipeline_options.PipelineOptions(found.text)


@pytest.mark.parametrize(
    ("cores", "workers", "text_bytes", "mode", "several"),
    [
        (1, 0, 10**9, None, None),
        (4, 0, 1000, None, None),
        (4, 0, 10**8, "multi_threading", 4),
        (4, 0, None, "multi_threading", 4),
        (4, 0, 10**9, "multi_processing", 4),
        (4, 3, 1000, "multi_processing", 3),
        (4, 1, 10**9, None, None),
    ],
)
def test_direct_takes_threads_for_some_text_and_processes_for_much(
    monkeypatch, cores, workers, text_bytes, mode, several
):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    found = engines.arguments(BeamConfig(workers=workers), text_bytes)
    assert found.text == found.evaluator
    assert found.text[0].endswith(".FnApiRunner")
    expected = [f"--direct_running_mode={mode}", f"--direct_num_workers={several}"] if mode else []
    assert found.transform == [*found.text, *expected]


def test_components():
    found = engines.arguments(BeamConfig(runner="dataflow"), 1000)
    for component in nodes.ON_THE_ENGINE:
        assert "--runner=DataflowRunner" in found.of(component)
    assert found.of("Evaluator") == found.evaluator
    assert found.of("Trainer") == []


def test_flink():
    small = parse("flink", workers=2)
    assert (small.view_as(FLINK).flink_master, small.view_as(FLINK).parallelism) == ("[local]", 2)
    assert small.view_as(PORTABLE).environment_type == "LOOPBACK"
    assert "use_loopback_process_worker" not in (small.view_as(pipeline_options.DebugOptions).experiments or [])
    much = parse("flink", 10**9, workers=2)
    assert much.view_as(pipeline_options.DebugOptions).experiments == ["use_loopback_process_worker"]
    assert much.view_as(PORTABLE).sdk_worker_parallelism == "2"
    cluster = parse("flink", master="flink:8081", options=["--environment_type=DOCKER"])
    assert cluster.view_as(FLINK).flink_master == "flink:8081"
    assert cluster.view_as(PORTABLE).environment_type == "DOCKER"


@pytest.mark.parametrize(
    ("runner", "name"), [("spark", "SparkRunner"), ("dataflow", "DataflowRunner"), ("prism", "PrismRunner")]
)
def test_other_engines(runner, name):
    made = parse(runner, workers=4, options=["--region=europe-west1"])
    assert made.view_as(pipeline_options.StandardOptions).runner == name
    assert made.view_as(pipeline_options.GoogleCloudOptions).region == "europe-west1"


def test_workers_elsewhere_are_sent_the_package(tmp_path):
    assert parse("flink", workers=2).view_as(SETUP).setup_file is None
    assert parse("flink", master="flink:8081", stage=False).view_as(SETUP).setup_file is None
    sent = parse("flink", master="flink:8081")
    assert sent.view_as(WORKERS).sdk_container_image is None
    artifacts = stager.Stager.create_job_resources(sent, str(tmp_path))
    staged = {name: path for path, name, _ in stager.Stager.extract_staging_tuple_iter(artifacts)}
    with tarfile.open(staged["workflow.tar.gz"]) as package:
        names = {name.partition("/")[2] for name in package.getnames()}
    for needed in ("setup.py", "README.md", "word2vec/text.py", "word2vec/training/job.py",
                   "components/skipgram/executor.py", "pipeline/presets/sample.yaml",
                   "components/corpus/schema/schema.pbtxt", "serving/page/page.js"):  # fmt: skip
        assert needed in names


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"options": ["--job_server_java_launcher=no-java"]}, "no 'no-java'"),
        (
            {"options": ["--flink_job_server_jar=no.jar", "--job_server_java_launcher=true"]},
            r"no\.jar: there is no such",
        ),
    ],
)
def test_an_engine_that_cannot_be_started(settings, message):
    with pytest.raises(UserError, match=message):
        engines.check(BeamConfig(runner="flink", **settings))
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = f"--job_endpoint=127.0.0.1:{server.getsockname()[1]}"
        engines.check(BeamConfig(runner="flink", options=[*settings["options"], there]))
