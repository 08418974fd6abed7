from __future__ import annotations

import gc

import pytest

from word2vec import importing


@pytest.fixture(autouse=True)
def as_before():
    yield
    gc.enable()
    gc.unfreeze()


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_waits_and_then_is_as_before(enabled):
    if not enabled:
        gc.disable()
    gc.unfreeze()
    seen = []

    def fail():
        with importing.quickly():
            seen.append(gc.isenabled())
            raise ImportError

    with pytest.raises(ImportError):
        fail()
    assert seen == [False]
    assert gc.isenabled() == enabled
    assert gc.get_freeze_count() > 1000
