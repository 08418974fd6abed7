"""Writes the bill of materials: every package that `make setup` installed from the lock, with its files' hashes.

python tools/sbom.py sbom.json    (CycloneDX, as JSON; the same lock gives the same bytes)
"""

from __future__ import annotations

import importlib.metadata
import os
import pathlib
import sys
import tempfile

from cyclonedx_py._internal.cli import run

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOCKED = ROOT / ".venv" / ".setup" / "requirements.txt"


def main(output: str) -> int:
    """Writes it; returns the exit code."""
    beside = f"{output}.new"
    with tempfile.TemporaryDirectory() as folder:
        project = pathlib.Path(folder) / "pyproject.toml"
        version = importlib.metadata.version("tfx-word2vec")
        project.write_text(f'[project]\nname = "tfx-word2vec"\nversion = "{version}"\n', encoding="utf-8")
        options = ["--output-reproducible", "--validate", "--sv", "1.6", "--of", "JSON", "-o", beside]
        code = run(argv=["requirements", *options, "--pyproject", str(project), str(LOCKED)])
    if code:
        return code
    os.replace(beside, output)
    print(f"{output}: the packages of {LOCKED.relative_to(ROOT)}, as CycloneDX 1.6")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tools/sbom.py FILE")
    sys.exit(main(sys.argv[1]))
