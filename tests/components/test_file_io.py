from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import subprocess
import sys

import hypothesis.strategies as st
import pytest
import zstandard
from hypothesis import given, settings

from components import file_io, files

COMPRESS = {
    "none": lambda data: data,
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.compress,
}
WHOLE = b"".join(b"%d\n" % number for number in range(100_000))
STORED = {name: compress(WHOLE[:10_000]) for name, compress in COMPRESS.items()}


def test_every_compression_is_tried():
    assert set(COMPRESS) == {"none", *files.COMPRESSIONS.values()}


@pytest.mark.parametrize("compression", COMPRESS)
def test_all_bytes_come_back(tmp_path, compression):
    (tmp_path / "some").write_bytes(COMPRESS[compression](WHOLE) + COMPRESS[compression](b"end"))
    with file_io.open_stored(str(tmp_path / "some")) as raw:
        stream = file_io.decompressed(raw, compression)
        assert stream.peek(4096)[:4096] == WHOLE[:4096]
        assert stream.read(10) == WHOLE[:10]
        assert stream.read() == WHOLE[10:] + b"end"


@pytest.mark.parametrize("compression", [name for name in COMPRESS if name != "none"])
@settings(deadline=None)
@given(st.data())
def test_a_damage_is_one_of_the_errors(compression, data):
    stored = STORED[compression]
    at = data.draw(st.integers(0, len(stored) - 1))
    damage = data.draw(st.binary(max_size=40))
    for damaged in (stored[:at] + damage, stored[:at] + damage + stored[at + len(damage) :]):
        with contextlib.suppress(*file_io.ERRORS):
            file_io.decompressed(io.BytesIO(damaged), compression).read()


@pytest.mark.parametrize("compression", [name for name in COMPRESS if name != "none"])
def test_an_archive_that_is_cut_off_is_no_whole_one(compression):
    stored = STORED[compression]
    for end in (1, 10, len(stored) // 2, len(stored) - 1):
        with pytest.raises(file_io.ERRORS):
            file_io.decompressed(io.BytesIO(stored[:end]), compression).read()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("text", ["", "a", "é\0", "茶"])
def test_marks(encoding, text):
    mark = "" if encoding == "utf-8-sig" else "\ufeff"
    encoded = (mark + text).encode(encoding)
    assert encoded.decode(file_io.marked_encoding(encoded)) == text
    assert file_io.marked_encoding(text.encode()) == ""


def test_local_files_need_neither_beam_nor_arrow(tmp_path):
    for compression in ("none", "gzip", "bz2", "xz"):
        (tmp_path / compression).write_bytes(COMPRESS[compression](WHOLE))
    program = (
        "import sys; from components import file_io\n"
        "for name in ('none', 'gzip', 'bz2', 'xz'):\n"
        "    with file_io.open_stored(f'{sys.argv[1]}/{name}') as raw: file_io.decompressed(raw, name).read()\n"
        "sys.exit(99 if {'apache_beam', 'pyarrow', 'tensorflow'} & set(sys.modules) else 0)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False).returncode == 0
