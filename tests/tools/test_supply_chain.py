"""Every file that a set-up installs is known by its hash, and every package is on the bill of materials."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import pathlib
import re
import subprocess
import sys

import pytest
import yaml
from packaging.requirements import Requirement

from pipeline import fingerprint

ROOT = pathlib.Path(__file__).parent.parent.parent


def entries(path: pathlib.Path) -> list[tuple[Requirement, list[str]]]:
    """(what is pinned, the hashes of its files) for each entry of a lock."""
    joined = path.read_text().replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    return [
        (Requirement(line.partition("--hash")[0].strip()), re.findall(r"--hash=sha256:([0-9a-f]{64})(?!\S)", line))
        for line in lines
    ]


@pytest.mark.parametrize("name", ["constraints.txt", "tools/bootstrap.txt"])
def test_every_entry_is_one_version_with_hashes(name):
    found = entries(ROOT / name)
    assert found
    for requirement, hashes in found:
        assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), requirement
        assert hashes, requirement
        assert not requirement.url


def test_what_is_installed_is_what_is_locked():
    """This very environment, which the set-up made."""
    locked = {(requirement.name, str(requirement.specifier)) for requirement, _ in entries(ROOT / "constraints.txt")}
    installed = entries(ROOT / ".venv/.setup/requirements.txt")
    assert len(installed) > 100
    for requirement, hashes in installed:
        assert (requirement.name, str(requirement.specifier)) in locked
        assert hashes
        if not requirement.marker or requirement.marker.evaluate():
            assert f"=={importlib.metadata.version(requirement.name)}" == str(requirement.specifier)


def test_a_file_of_another_content_is_refused(tmp_path):
    """By the very way in which the set-up installs: a hash that is wrong by one digit."""
    (entry,) = re.findall(r"^six==(?:.*\\\n)*.*", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    wrong = re.sub(r"sha256:(.)", lambda found: f"sha256:{'1' if found[1] == '0' else '0'}", entry)
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(wrong + "\n")
    version = re.search("==([^ ]+)", entry)[1]
    make_wheel(tmp_path / f"six-{version}-py2.py3-none-any.whl", version)
    command = [ROOT / ".venv/.setup/tools/bin/uv", "pip", "install", "--offline", "--no-index", "--no-cache"]
    done = subprocess.run(
        [*command, "--find-links", tmp_path, "--target", tmp_path / "into", "--require-hashes", "-r", requirements],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "hash" in done.stderr.lower()
    assert not list(tmp_path.glob("into/six*"))


def make_wheel(path: pathlib.Path, version: str) -> None:
    import zipfile

    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("six.py", "")
        wheel.writestr(f"six-{version}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: six\nVersion: {version}\n")
        kind = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py2-none-any\nTag: py3-none-any\n"
        wheel.writestr(f"six-{version}.dist-info/WHEEL", kind)
        wheel.writestr(f"six-{version}.dist-info/RECORD", "")


def test_the_bill_of_materials_has_every_package_with_its_hashes(tmp_path):
    bills = []
    for name in ("one.json", "two.json"):
        command = [sys.executable, str(ROOT / "tools/sbom.py"), str(tmp_path / name)]
        subprocess.run(command, check=True, timeout=120, capture_output=True)
        bills.append((tmp_path / name).read_bytes())
    assert bills[0] == bills[1]
    bill = json.loads(bills[0])
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["name"] == "tfx-word2vec"
    components = {(component["name"], component["version"]) for component in bill["components"]}
    locked = entries(ROOT / ".venv/.setup/requirements.txt")
    assert components == {(requirement.name, str(requirement.specifier)[2:]) for requirement, _ in locked}
    for component in bill["components"]:
        (distribution,) = [one for one in component["externalReferences"] if one["type"] == "distribution"]
        assert distribution["hashes"]
        assert component["purl"].startswith("pkg:pypi/")


def test_a_model_card_names_the_lock():
    assert fingerprint.facts()["lock"] == hashlib.sha256((ROOT / "constraints.txt").read_bytes()).hexdigest()


def images() -> list[str]:
    """Of the Dockerfile and of all manifests, but the project's own."""
    found = re.findall(r"^(?:FROM|COPY --from=)\s*(\S+[:@]\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    for path in [*ROOT.glob("deploy/**/*.yaml"), *ROOT.glob("serving/**/*.yaml")]:
        found += re.findall(r"^\s*(?:- )?image: (\S+)", path.read_text(), re.MULTILINE)
        assert list(yaml.safe_load_all(path.read_text()))
    return [image for image in found if not image.startswith("tfx-word2vec")]


def test_no_image_is_whatever_is_newest():
    assert len(images()) >= 6
    for image in images():
        assert re.search(r":[\w.-]*\d[\w.-]*(@sha256:[0-9a-f]{64})?$|@sha256:[0-9a-f]{64}$", image), image


def test_the_base_images_are_known_by_their_digests():
    pinned = [image for image in images() if "@sha256:" in image]
    assert {image.partition(":")[0] for image in pinned} == {"debian", "busybox"}
