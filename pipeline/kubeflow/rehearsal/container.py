"""Runs a container's command in a process that sees of this machine what it would see of an image.

The process has a root of its own, which it cannot write to: the system's programs, this Python, the project's files,
and nothing else of the machine. What KFP mounts is there and empty, and so is `/tmp`; volumes are folders of this
machine. Its user is the image's, who is not in `/etc/passwd`, has no home, and no rights but its number's. That takes
Linux' namespaces, which root may always make, and others where their system lets them.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence

from word2vec.errors import UserError

# The image's user (Dockerfile).
USER = 10001

_PROJECT = pathlib.Path(__file__).parent.parent.parent.parent
_SYSTEM = ("bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "sys", "usr")

# Scratch folders that KFP mounts into each container.
STORES = ("minio", "s3", "gcs")
_SCRATCH = (*STORES, "tmp", ".local", ".cache", ".config")

# Of this process' environment, what a container would not have.
_PRIVATE = ("HOME", "LOGNAME", "MAIL", "OLDPWD", "PWD", "PYTHONPATH", "TMPDIR", "USER", "VIRTUAL_ENV")


@dataclasses.dataclass(frozen=True)
class Container:
    """A task's container.

    Attributes:
        folder: of this machine, for what the container writes on its scratch folders.
        volumes: folders of this machine by the paths at which the container sees them.
        environment: variables, on top of those of this process that say nothing of its user.
    """

    folder: pathlib.Path
    volumes: Mapping[str, pathlib.Path]
    environment: Mapping[str, str]

    def scratch(self, path: str) -> pathlib.Path:
        """Where the container's absolute path is on this machine, for paths below its scratch folders."""
        return self.folder / path.lstrip("/")

    def prepare(self) -> None:
        """Makes the scratch folders, empty and open to every user."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in _SCRATCH:
            (self.folder / name).mkdir(parents=True)
        self.open()

    def open(self) -> None:
        """Opens all folders in the scratch folders to every user; in a pod, the launcher makes them as the same one."""
        for folder, _, _ in os.walk(self.folder):
            os.chmod(folder, 0o777)

    def run(self, command: Sequence[str], log: pathlib.Path) -> int:
        """Runs a command; returns its exit code.

        Args:
            command: the program and its arguments.
            log: for what it prints.
        """
        kept = {name: value for name, value in os.environ.items() if name not in _PRIVATE and "XDG_" not in name}
        path = os.pathsep.join([os.path.dirname(sys.executable), kept.get("PATH", os.defpath)])
        environment = {**kept, "PATH": path, "HOME": "/", **self.environment}
        with log.open("w", encoding="utf-8") as file:
            done = subprocess.run(
                [*self._sandbox(), *command], cwd=_PROJECT, env=environment, stdout=file, stderr=file, check=False
            )
        return done.returncode

    def _sandbox(self) -> list[str]:
        become = (
            ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--bounding-set=-all", "--no-new-privs"]
            if os.getuid() == 0
            else ["unshare", "--user", f"--map-user={USER}", f"--map-group={USER}"]
        )
        return [*_enter(), "--", "sh", "-ec", self._script(), "sh", *become, "--"]

    def _script(self) -> str:
        """Shell that makes the root, enters it, and runs its arguments."""
        root = shlex.quote(str(self.folder / "root"))
        lines = [f"mkdir -p {root}", f"mount -t tmpfs -o mode=755 none {root}"]
        for name in _SYSTEM:
            system = pathlib.Path("/", name)
            if system.is_symlink():
                lines.append(f"ln -s {shlex.quote(os.readlink(system))} {root}/{name}")
            elif system.is_dir():
                lines += _bind(root, system, system, is_whole=True)
        for name in _SCRATCH:  # before the project, which may be below /tmp
            lines += _bind(root, self.folder / name, pathlib.Path("/", name), is_writable=True)
        for own in _outside_system(sys.base_prefix, sys.prefix, _PROJECT):
            lines += _bind(root, own, own)
        for path, folder in self.volumes.items():
            lines += _bind(root, folder, pathlib.Path(path), is_writable=True)
        lines += [
            f"mkdir {root}/.old",
            f"mount -o remount,ro,bind {root}",
            f"cd {root}",
            "pivot_root . .old",
            "umount -l /.old",
            f"cd {shlex.quote(str(_PROJECT))}",
            'exec "$@"',
        ]
        return "\n".join(lines)


def check() -> None:
    """Makes sure that this machine lets one make such a process.

    Raises:
        UserError: it doesn't.
    """
    if not _can_sandbox():
        raise UserError(
            "rehearse: needs Linux' namespaces, which this system does not let you make. Run it as root, in a "
            "privileged container, or allow them: sysctl kernel.unprivileged_userns_clone=1 (Debian), "
            "kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu)"
        )


@functools.cache
def _can_sandbox() -> bool:
    try:
        done = subprocess.run([*_enter(), "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


def _enter() -> list[str]:
    """What a command begins with that sees mounts of its own."""
    return ["unshare", *([] if os.getuid() == 0 else ["--user", "--map-root-user"]), "--mount"]


def _bind(
    root: str, source: pathlib.Path, path: pathlib.Path, *, is_whole: bool = False, is_writable: bool = False
) -> list[str]:
    """Shows a folder below the new root; read-only unless it is said to be writable, or the system's."""
    into = root + shlex.quote(str(path))
    lines = [f"mkdir -p {into}", f"mount --{'r' * is_whole}bind {shlex.quote(str(source))} {into}"]
    is_special = path.name in ("dev", "proc", "sys") and is_whole
    return lines if is_writable or is_special else [*lines, f"mount -o remount,ro,bind {into}"]


def _outside_system(*folders: str | pathlib.Path) -> list[pathlib.Path]:
    """Those that are not within the system's folders, or within each other."""
    seen: list[pathlib.Path] = []
    for folder in sorted({pathlib.Path(one).resolve() for one in folders}, key=lambda one: len(one.parts)):
        if folder.parts[1] not in _SYSTEM and not any(folder.is_relative_to(other) for other in seen):
            seen.append(folder)
    return seen
