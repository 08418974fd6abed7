"""What is replaced of TFX's Transform is still there, is called as ours is, and is put back."""

from __future__ import annotations

import inspect

import apache_beam as beam
import pytest
import tensorflow_transform as tft
from tensorflow_transform.beam import analyzer_impls, impl
from tfx.components.transform import executor as tfx_executor

from components.skipgram import executor


def present():
    return [vars(owner)[name] for owner, name in executor.REPLACED]


def parameters(function):
    return set(inspect.signature(function).parameters)


def test_theirs_is_called_as_ours_can_be():
    write = tfx_executor.TransformProcessor._EncodeAndWrite
    assert parameters(write) == {"schema", "file_format", "output_path"}
    assert parameters(executor._EncodeAndWriteShards) == {"shards", *parameters(write)}
    assert len(parameters(analyzer_impls._VocabularyAccumulateImpl.expand)) == len(parameters(executor._accumulate))
    assert issubclass(impl._RunMetaGraphDoFn, beam.DoFn)
    for theirs in (tft.get_analyze_input_columns, tft.get_transform_input_columns):
        assert list(inspect.signature(theirs).parameters)[:2] == ["preprocessing_fn", "specs"]


def test_theirs_is_put_back():
    theirs, within = present(), []

    def fail():
        with executor.in_our_way(3, ["somewhere"]):
            within.extend(present())
            raise RuntimeError("in the midst")

    with pytest.raises(RuntimeError, match="in the midst"):
        fail()
    assert within[0] is executor._RunGraph
    assert all(own is not other for own, other in zip(within, theirs, strict=True))
    assert all(own is other for own, other in zip(present(), theirs, strict=True))


def test_what_is_gone_is_noticed_before_anything_changes(monkeypatch):
    theirs = present()
    monkeypatch.setattr(executor, "REPLACED", (*executor.REPLACED[:2], (impl, "_GoneSinceTheNextVersion")))
    with pytest.raises(KeyError, match="_GoneSinceTheNextVersion"), executor.in_our_way(3, ["somewhere"]):
        pass
    monkeypatch.undo()
    assert all(own is other for own, other in zip(present(), theirs, strict=True))
