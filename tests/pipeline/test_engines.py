from __future__ import annotations

import os

import pytest
from apache_beam.options import pipeline_options

from pipeline import engines
from pipeline.configs import BeamConfig

FLINK = pipeline_options.FlinkRunnerOptions
PORTABLE = pipeline_options.PortableOptions


def parse(runner, **settings):
    arguments, for_transform = engines.arguments(BeamConfig(runner=runner, **settings), 10**12)
    assert arguments == for_transform
    return pipeline_options.PipelineOptions(arguments)


def test_direct_takes_more_processes_for_much_text():
    arguments, for_transform = engines.arguments(BeamConfig(), 1000)
    assert arguments == for_transform
    assert arguments[0].endswith(".FnApiRunner")
    _, for_transform = engines.arguments(BeamConfig(workers=3), 1000)
    assert "--direct_num_workers=3" in for_transform
    _, for_transform = engines.arguments(BeamConfig(), 10**9)
    assert (f"--direct_num_workers={os.cpu_count()}" in for_transform) == (os.cpu_count() > 1)


def test_flink():
    small = parse("flink", workers=2)
    assert (small.view_as(FLINK).flink_master, small.view_as(FLINK).parallelism) == ("[local]", 2)
    assert small.view_as(PORTABLE).environment_type == "LOOPBACK"
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
