from __future__ import annotations

import pytest

from pipeline import config_files
from pipeline.inputs import Inputs
from pipeline.kubeflow import compiler
from word2vec.errors import UserError


def load(**values):
    return config_files.load("kubeflow", values=values)


def test_an_edited_schema_is_not_answered_from_the_cache(tmp_path):
    """What the cache knows of SchemaGen changes with the file's content, and not with its name alone."""
    schema = tmp_path / "schema.pbtxt"

    def key():
        config = load(**{"corpus.schema_file": str(schema)})
        spec = compiler.tfx_spec(config, fingerprints=Inputs.find(config).fingerprints)
        return compiler.TfxComponent.of(spec, "SchemaGen").parameters

    schema.write_text('feature { name: "text" type: BYTES }')
    before = key()
    assert key() == before
    schema.write_text('feature { name: "text" type: BYTES presence { min_count: 1 } }')
    assert key() != before


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(UserError, match=r"corpus\.schema_file .*nothing\.pbtxt: no file matches"):
        Inputs.find(load(**{"corpus.schema_file": str(tmp_path / "nothing.pbtxt")}))
