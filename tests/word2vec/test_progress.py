from __future__ import annotations

import logging

import pytest

from word2vec import progress


class Heard(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


@pytest.fixture
def heard():
    handler = Heard()
    progress.add_handler(handler)
    yield handler.lines
    progress.remove_handler(handler)
    logging.getLogger("word2vec.progress").propagate = True


def test_what_is_left_to_handlers_is_not_in_the_log(heard, caplog):
    progress.note("before")
    progress.leave_to_handlers()
    progress.note("after")
    assert heard == ["before", "after"]
    assert [record.getMessage() for record in caplog.records] == ["before"]
