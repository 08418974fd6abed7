from __future__ import annotations

import pytest

from word2vec import memory

GIB = 2**30


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({"memory.max": f"{8 * GIB}\n", "memory.current": f"{5 * GIB}\n", "memory.stat": f"inactive_file {GIB}\n"}, 4),
        ({"memory.max": "max\n", "memory.current": "5\n", "memory.stat": "inactive_file 1\n"}, float("inf")),
        (
            {
                "memory/memory.limit_in_bytes": f"{8 * GIB}",
                "memory/memory.usage_in_bytes": f"{9 * GIB}",
                "memory/memory.stat": f"cache 3\ninactive_file 1\ntotal_inactive_file {2 * GIB}\n",
            },
            1,
        ),
        ({"memory.max": "1\n", "memory.current": "2\n", "memory.stat": "\n"}, 0),
        ({"memory.max": "nonsense\n"}, float("inf")),
        ({}, float("inf")),
    ],
)
def test_what_a_container_has_left(tmp_path, files, left):
    write(tmp_path, files)
    assert memory._of_group(tmp_path) == left * (GIB if left != float("inf") else 1)


@pytest.mark.parametrize(
    ("content", "left"),
    [
        ("MemTotal:  9 kB\nMemAvailable:    2048 kB\n", 2048 * 1024),
        ("MemTotal: 9 kB\n", float("inf")),
        ("", float("inf")),
    ],
)
def test_what_a_machine_has_left(tmp_path, content, left):
    (tmp_path / "meminfo").write_text(content)
    assert memory._of_machine(tmp_path / "meminfo") == left
    assert memory._of_machine(tmp_path / "nothing") == float("inf")


def test_here_is_some():
    assert memory.free() > 0
