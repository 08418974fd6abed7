"""What goes from the disk; tests/e2e/test_spans.py has it on whole runs."""

from __future__ import annotations

import os

from pipeline import cleaning


def test_of_a_long_log_the_end_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(cleaning, "_LOG_BYTES", 100)
    log = tmp_path / "run.log"
    cleaning.trim_log(str(log))  # there is none
    lines = "".join(f"line {number}\n" for number in range(30))
    log.write_text(lines[:200])
    cleaning.trim_log(str(log))
    assert log.read_text() == lines[:200]
    writer = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.write(writer, lines[200:].encode())
    cleaning.trim_log(str(log))
    os.write(writer, b"the next\n")
    os.close(writer)
    kept = log.read_text()
    assert f"{lines}the next\n".endswith(kept)
    assert kept.startswith("line ")
    assert 90 < len(kept) - len("the next\n") <= 100
