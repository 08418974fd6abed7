"""What is said to those who change the project is true: paths, targets of make, and files that others read."""

from __future__ import annotations

import configparser
import pathlib
import re

import pytest
import yaml

ROOT = pathlib.Path(__file__).parent.parent.parent
PAGES = ("CONTRIBUTING.md", "README.md")
# What looks like a path, but is made by a run or by a user.
NOT_OURS = re.compile(r"^(\.venv|runs|reviews|serving_model|vectors)/|NAME|\*|^(my|mine)\.|^my_")
ENDINGS = r"\.(?:py|md|yaml|yml|txt|toml|in|png|j2|css|js|pbtxt)"
PATH = re.compile(rf"^(?:[\w.-]+/)+(?:[\w.-]+)?$|^[\w-]+{ENDINGS}$|^Makefile$|^Dockerfile$")
YAML = [*ROOT.glob(".github/**/*.yml"), ROOT / ".pre-commit-config.yaml"]
# What a test module has in it that starts a run, Beam, a server or a browser.
STARTS = re.compile(
    r"\bforked\.|make_project|chromium\.|HTTPServer|LocalRunner\(|\.(Test)?Pipeline\(|Popen\("
    r"|def test_\w+\((.*\W)?(server|page|browser)\W"
)


def paths(text: str) -> set[str]:
    """Those in backticks, in commands too, and in links; in drawings of the code there are none."""
    prose = re.sub(r"^```\w.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    words = [word for quoted in re.findall(r"`([^`]+)`", prose) for word in quoted.split()]
    words += re.findall(r"\]\(([^)#:]+)\)", prose)
    words += [word for line in re.findall(r"^ {4}(\S*python .*)$", prose, re.MULTILINE) for word in line.split()]
    named = {word.rstrip(",;").partition("::")[0] for word in words}
    return {name for name in named if PATH.match(name) and not NOT_OURS.search(name)}


def missing(text: str) -> list[str]:
    return sorted(
        name for name in paths(text) if not (ROOT / name).exists() and not is_below_a_named_folder(name, text)
    )


def is_below_a_named_folder(name: str, text: str) -> bool:
    """As `card.py`, after `components/card/` was named."""
    return "/" not in name and any((ROOT / folder / name).is_file() for folder in paths(text) if folder.endswith("/"))


def makefile() -> str:
    return (ROOT / "Makefile").read_text()


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):(?!=)", makefile(), re.MULTILINE))


def called(text: str) -> set[str]:
    """The targets that make is called with."""
    calls = re.findall(r"(?:^ {4}|`|run: )make ([a-z][^`#\n]*)", text, re.MULTILINE)
    words = " ".join(re.sub(r"\S+='[^']*'", "", call) for call in calls).split()
    return {word for word in words if re.fullmatch("[a-z-]+", word)}


def left_out() -> list[str]:
    """What `make test-fast` does not run."""
    (told,) = re.findall(r"^NOT_FAST := ((?:.*\\\n)*.*)$", makefile(), re.MULTILINE)
    return [word for word in told.split() if word != "\\"]


@pytest.mark.parametrize("page", PAGES)
def test_the_paths_that_are_named_are_there(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert len(paths(text)) > 15
    assert missing(text) == []


@pytest.mark.parametrize(
    "text",
    ["`word2vec/loss.py`", "(`no_runner.py --config x`)", "[it](docs/none.md)", "    python -m x tests/none.py::a"],
)
def test_a_path_that_is_not_there_is_found(text):
    assert len(missing(text)) == 1


def headings(path: pathlib.Path) -> set[str]:
    """As links name them."""
    prose = re.sub(r"^```\w.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")], ids=lambda path: path.name)
def test_links_lead_to_files_and_headings(page):
    links = re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8"))
    targets = [((page.parent / name).resolve() if name else page, heading) for name, heading in links]
    assert [path for path, _ in targets if not path.exists()] == []
    assert [(path, heading) for path, heading in targets if heading and heading not in headings(path)] == []


@pytest.mark.parametrize("page", [*PAGES, ".github/pull_request_template.md", ".github/workflows/ci.yml"])
def test_make_is_called_with_targets_that_it_has(page):
    found = called((ROOT / page).read_text(encoding="utf-8"))
    assert {"lint", "test", "test-slow"} <= found or page == "README.md"
    assert found <= targets()


def test_the_help_has_every_target():
    documented = set(re.findall(r"^([a-z-]+):.*##", makefile(), re.MULTILINE))
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile(), re.MULTILINE)
    assert documented == targets() == set(phony.split())


def test_what_the_fast_tests_leave_out_is_there():
    assert [name for name in left_out() if not (ROOT / "tests" / name).exists()] == []


def test_the_fast_tests_start_nothing():
    out = [ROOT / "tests" / name for name in left_out()]
    tests = [path for path in (ROOT / "tests").rglob("test_*.py") if path != pathlib.Path(__file__)]
    kept = [path for path in tests if not any(path.is_relative_to(name) for name in out)]
    assert [str(path) for path in kept if STARTS.search(path.read_text(encoding="utf-8"))] == []
    assert len(kept) > 30


@pytest.mark.parametrize("path", YAML, ids=lambda path: path.name)
def test_files_of_yaml_are_mappings(path):
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)


def test_the_workflow_takes_the_pythons_that_the_project_takes():
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    assert workflow["permissions"] == {"contents": "read"}
    declared = re.search(r'python_requires=">=3\.(\d+),<3\.(\d+)"', (ROOT / "setup.py").read_text())
    first, end = (int(part) for part in declared.groups())
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == [f"3.{minor}" for minor in range(first, end)]
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"]
        used = [step["uses"] for step in job["steps"] if "uses" in step]
        assert all(re.fullmatch(r"[\w.-]+/[\w.-]+@v\d+", action) for action in used)


def test_the_forms_for_issues_ask_each_thing_once():
    for name in ("bug", "feature"):
        form = yaml.safe_load((ROOT / f".github/ISSUE_TEMPLATE/{name}.yml").read_text())
        ids = [field["id"] for field in form["body"]]
        assert {"name", "description", "body"} <= set(form)
        assert len(ids) == len(set(ids))
        assert all(field["attributes"]["label"] for field in form["body"])


def test_editors_and_ruff_are_told_the_same():
    parser = configparser.ConfigParser()
    parser.read_string("[root]\n" + (ROOT / ".editorconfig").read_text())
    length = re.search(r"^line-length = (\d+)$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
    assert parser["*"]["max_line_length"] == length


def test_each_release_in_the_changelog_has_its_kinds_once():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    releases = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    assert releases[0].startswith("[Unreleased]")
    for release in releases:
        kinds = re.findall(r"^### (.*)$", release, re.MULTILINE)
        assert len(kinds) == len(set(kinds))
        assert set(kinds) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
