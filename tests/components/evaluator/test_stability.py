"""A model that is less stable than it must be is not blessed, whatever the benchmarks say."""

from __future__ import annotations

import pytest
from tfx.components.evaluator import constants
from tfx.types import standard_artifacts, standard_component_specs

from components.evaluator import component, stability


@pytest.mark.parametrize(("least", "is_blessed"), [(None, True), (0.9, True), (0.951, False)])
def test_the_threshold(tmp_path, monkeypatch, least, is_blessed):
    """Of an Evaluator whose benchmarks are all reached."""
    inputs, outputs = {}, {}
    for key, kind in (("model", "Model"), ("baseline_model", "Model")):
        inputs[key] = [getattr(standard_artifacts, kind)()]
        inputs[key][0].uri = str(tmp_path / key)
    for key, kind in (("evaluation", "ModelEvaluation"), ("blessing", "ModelBlessing")):
        outputs[key] = [getattr(standard_artifacts, kind)()]
        outputs[key][0].uri = str(tmp_path / key)
        (tmp_path / key).mkdir()
    blessing = outputs[standard_component_specs.BLESSING_KEY][0]
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, constants.BLESSED_VALUE)
    (tmp_path / "blessing" / constants.BLESSED_FILE_NAME).touch()
    monkeypatch.setattr(component.executor.Executor, "Do", lambda *_: None)
    monkeypatch.setattr(
        stability, "measure", lambda model, before, least: stability.Stability(0.95, 0.96, 500, True, least)
    )
    component.Executor().Do(inputs, outputs, {"min_stability": least, "eval_config": "{}"})
    assert stability.read(str(tmp_path / "evaluation")).score == 0.95
    assert blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY) == int(is_blessed)
    name = constants.BLESSED_FILE_NAME if is_blessed else constants.NOT_BLESSED_FILE_NAME
    assert [path.name for path in (tmp_path / "blessing").iterdir()] == [name]
