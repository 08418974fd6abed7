from __future__ import annotations

import json
import os
import time

import pytest
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.kubeflow.compiler import TfxComponent
from pipeline.kubeflow.training_job import handover
from word2vec.errors import UserError

COMPONENT = TfxComponent("executor.Class", {"artifacts": {}}, frozenset({"model"}), {})


def make_asked(tmp_path, examples="examples"):
    """An ExecutorInput with local paths, as the task has it after KFP's launcher has downloaded the inputs."""
    folder = tmp_path / examples
    (folder / "Split-train").mkdir(parents=True, exist_ok=True)
    (folder / "Split-train" / "data").write_text("pairs")
    return json_format.ParseDict(
        {
            "inputs": {
                "artifacts": {
                    "examples": {"artifacts": [{"name": "1", "uri": str(folder)}]},
                    "base_model": {"artifacts": [{"name": "2", "uri": str(tmp_path / "nothing")}]},
                }
            },
            "outputs": {
                "artifacts": {"model": {"artifacts": [{"name": "model", "uri": str(tmp_path / "model")}]}},
                "outputFile": str(tmp_path / "kfp" / "output.json"),
            },
        },
        pipeline_spec_pb2.ExecutorInput(),
    )


def pretend_to_train(folder):
    """What the chief does with what it finds."""
    work = handover.Work.read(folder)
    given, wanted = work.invocation["inputs"]["artifacts"], work.invocation["outputs"]
    examples = given["examples"]["artifacts"][0]["uri"]
    with open(os.path.join(examples, "Split-train", "data")) as file:
        text = file.read()
    model = wanted["artifacts"]["model"]["artifacts"][0]["uri"]
    os.makedirs(os.path.join(model, "Format-Serving"))
    with open(os.path.join(model, "Format-Serving", "weights"), "w") as file:
        file.write(f"trained on {text}")
    with open(wanted["outputFile"], "w") as file:
        json.dump({"artifacts": {}}, file)
    return examples


def test_what_the_chief_makes_comes_back_and_the_folder_goes(tmp_path):
    folder, asked = str(tmp_path / "volume" / "job"), make_asked(tmp_path)
    with handover.through(folder, COMPONENT, asked, "/checkpoints") as outputs:
        assert handover.Work.read(folder).checkpoints == "/checkpoints"
        examples = pretend_to_train(folder)
        assert examples.startswith(folder)
    assert (tmp_path / "model" / "Format-Serving" / "weights").read_text() == "trained on pairs"
    assert json.loads((tmp_path / "kfp" / "output.json").read_text()) == {"artifacts": {}}
    assert asked.outputs.output_file == str(tmp_path / "kfp" / "output.json")
    assert [*outputs.values()] == [str(tmp_path / "model")]
    assert not os.path.exists(folder)


def test_the_same_inputs_have_the_same_paths_in_the_next_try(tmp_path):
    """A checkpoint belongs to a training's files; and other inputs must not pass for them."""
    folder, paths = str(tmp_path / "volume" / "job"), []
    for examples in ("examples", "examples", "others"):
        with handover.through(folder, COMPONENT, make_asked(tmp_path, examples), "/checkpoints"):
            paths.append(pretend_to_train(folder))
    assert paths[0] == paths[1] != paths[2]


def test_what_a_killed_try_has_left_is_not_taken(tmp_path):
    folder = tmp_path / "volume" / "job"
    (folder / "out" / "model" / "0").mkdir(parents=True)
    (folder / "out" / "model" / "0" / "half").write_text("")
    with handover.through(str(folder), COMPONENT, make_asked(tmp_path), "/checkpoints"):
        pretend_to_train(str(folder))
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["Format-Serving"]


def test_a_failure_leaves_no_output_and_no_folder(tmp_path):
    folder = tmp_path / "volume" / "job"
    with (
        pytest.raises(UserError, match="it failed"),
        handover.through(str(folder), COMPONENT, make_asked(tmp_path), "/checkpoints"),
    ):
        raise UserError("it failed")
    assert not folder.exists()
    assert not (tmp_path / "model").exists()


def test_a_volume_that_cannot_be_written_is_one_line(tmp_path):
    with (
        pytest.raises(UserError, match=r"^/proc/1/job: what the pods need could not be handed to them: "),
        handover.through("/proc/1/job", COMPONENT, make_asked(tmp_path), "/checkpoints"),
    ):
        pass


@pytest.mark.parametrize("content", [None, "{", "[]", "{}"])
def test_work_that_a_pod_cannot_read(content, tmp_path):
    if content is not None:
        (tmp_path / "work.json").write_text(content)
    with pytest.raises(UserError, match=r"work\.json: .*is the volume one of many nodes \(ReadWriteMany\)\?$"):
        handover.Work.read(str(tmp_path))


def test_a_task_gives_signs_of_life_and_no_more_when_it_has_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(handover, "BEAT_SECONDS", 0.02)
    folder = str(tmp_path / "volume" / "job")
    with handover.through(folder, COMPONENT, make_asked(tmp_path), "/checkpoints"):
        looks, until = handover.is_abandoned(folder, 0.5), time.monotonic() + 1
        while time.monotonic() < until:
            assert not next(looks)
            time.sleep(0.02)
        pretend_to_train(folder)
    until = time.monotonic() + 20
    while not next(looks):
        assert time.monotonic() < until
        time.sleep(0.02)
