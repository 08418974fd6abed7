"""What the set-up decides. That it works is shown by these tests running at all."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent


@pytest.fixture
def setup_venv(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("setup_venv", ROOT / "tools" / "setup_venv.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(module, "STATE", tmp_path / ".venv" / ".setup")
    return module


def machine(
    monkeypatch,
    module,
    system="Linux",
    machine="x86_64",
    glibc=(2, 36),
    distribution="debian",
    tools=("apt-get", "dpkg-deb"),
):
    monkeypatch.setattr(module.platform, "system", lambda: system)
    monkeypatch.setattr(module.platform, "machine", lambda: machine)
    monkeypatch.setattr(module, "glibc_version", lambda: glibc)
    monkeypatch.setattr(module, "os_release", lambda: {"ID": distribution})
    monkeypatch.setattr(module.shutil, "which", lambda name: f"/usr/bin/{name}" if name in tools else None)


@pytest.mark.parametrize(
    ("facts", "needed"),
    [
        ({}, True),
        ({"distribution": "ubuntu", "glibc": (2, 35)}, True),
        ({"glibc": (2, 39)}, False),
        ({"glibc": (2, 41), "distribution": "fedora", "tools": ()}, False),
        ({"system": "Darwin", "machine": "arm64", "glibc": None}, False),
    ],
)
def test_a_private_runtime_only_where_it_is_needed(setup_venv, monkeypatch, facts, needed):
    machine(monkeypatch, setup_venv, **facts)
    assert setup_venv.needs_private_runtime() is needed


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"system": "Windows", "machine": "AMD64"}, "no packages for Windows"),
        ({"system": "Darwin"}, "no packages for Darwin on x86_64"),
        ({"machine": "aarch64"}, "no packages for Linux on aarch64"),
        ({"glibc": None}, "another C library than glibc"),
        ({"tools": ()}, "glibc here is 2.36, TFX needs 2.39"),
        ({"distribution": "rhel"}, "this is rhel"),
    ],
)
def test_where_nothing_can_work_it_says_so_and_names_the_dockerfile(setup_venv, monkeypatch, facts, message):
    machine(monkeypatch, setup_venv, **facts)
    with pytest.raises(setup_venv.SetupError) as error:
        setup_venv.needs_private_runtime()
    assert message in str(error.value)
    assert "Dockerfile" in str(error.value)
    assert not setup_venv.VENV.exists()


def test_python_3_10_without_a_compiler_is_said(setup_venv, monkeypatch):
    machine(monkeypatch, setup_venv, glibc=(2, 41))
    monkeypatch.setattr(setup_venv.sys, "version_info", (3, 11, 0))
    setup_venv.check_compiler()
    monkeypatch.setattr(setup_venv.sys, "version_info", (3, 10, 0))
    with pytest.raises(setup_venv.SetupError, match=r"no C\+\+ compiler.*Dockerfile"):
        setup_venv.check_compiler()


def test_a_wrong_python_is_said(setup_venv, monkeypatch):
    monkeypatch.setattr(setup_venv.sys, "version_info", (3, 9, 1))
    monkeypatch.setattr(setup_venv.shutil, "which", lambda name: None)
    with pytest.raises(setup_venv.SetupError, match=r"no python3\.10 to python3\.13.*Dockerfile"):
        setup_venv.find_python()


def test_a_python_that_works_is_taken_instead_of_a_wrong_one(setup_venv, monkeypatch):
    started = []
    monkeypatch.setattr(setup_venv.sys, "version_info", (3, 14, 0))
    monkeypatch.setattr(
        setup_venv.shutil, "which", lambda name: {"python3.13": "/bin/false", "python3.12": sys.executable}.get(name)
    )
    monkeypatch.setattr(setup_venv.os, "execv", lambda path, arguments: started.append(path) or sys.exit(0))
    with pytest.raises(SystemExit):
        setup_venv.find_python()
    assert started == [sys.executable]  # python3.13 is there but does not start


def test_an_interrupted_set_up_goes_on_with_the_step_that_was_not_done(setup_venv, monkeypatch):
    machine(monkeypatch, setup_venv)
    done = []
    failing = {"runtime"}

    def step(name):
        def run():
            setup_venv.STATE.mkdir(parents=True, exist_ok=True)
            done.append(name)
            if name in failing:
                raise setup_venv.SetupError("the line was cut")

        return run

    monkeypatch.setattr(setup_venv, "make_environment", step("environment"))
    monkeypatch.setattr(setup_venv, "make_private_runtime", step("runtime"))
    monkeypatch.setattr(setup_venv, "install_packages", step("packages"))
    with pytest.raises(setup_venv.SetupError):
        setup_venv.set_up()
    failing.clear()
    setup_venv.set_up()
    setup_venv.set_up()
    assert done == ["environment", "runtime", "runtime", "packages"]


def test_other_pins_are_installed_into_the_same_environment(setup_venv, monkeypatch, tmp_path):
    machine(monkeypatch, setup_venv, glibc=(2, 41))
    done = []
    monkeypatch.setattr(
        setup_venv, "make_environment", lambda: setup_venv.STATE.mkdir(parents=True) or done.append("environment")
    )
    monkeypatch.setattr(setup_venv, "install_packages", lambda: done.append("packages"))
    setup_venv.set_up()
    (tmp_path / "tools").mkdir()
    for name in ("constraints.txt", "setup.py", "tools/setup_venv.py"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes() + b"\n# changed\n")
    monkeypatch.setattr(setup_venv, "ROOT", tmp_path)
    setup_venv.set_up()
    assert done == ["environment", "packages", "packages"]


@pytest.mark.skipif(
    not (ROOT / ".venv" / ".setup" / "runtime").is_dir(), reason="this machine's C library is new enough"
)
def test_the_private_runtime_is_for_this_python_alone():
    assert tuple(int(part) for part in os.confstr("CS_GNU_LIBC_VERSION").split()[1].split(".")) >= (2, 39)
    system = subprocess.run(["getconf", "GNU_LIBC_VERSION"], capture_output=True, text=True, check=True).stdout
    assert tuple(int(part) for part in system.split()[1].split(".")) < (2, 39)
