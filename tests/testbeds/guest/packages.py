"""Fetches Debian packages through apt and unpacks them without installing anything."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

_TIMEOUT_SECONDS = 600.0


class BuildError(Exception):
    """The guest cannot be built here; the message is one line that says what is missing."""


def require_tools(*names: str) -> None:
    """Raises BuildError naming every program of `names` that this machine lacks."""
    missing = [name for name in names if shutil.which(name) is None]
    if missing:
        raise BuildError(
            f"cannot build the test guest: {', '.join(missing)} not found;"
            " on Debian: apt-get install gcc libc6-dev (apt and dpkg come with the system)"
        )


def run(*command: str, cwd: Path | None = None) -> str:
    """Runs a command to its end and returns what it printed.

    Raises BuildError with the command's last line when it fails or takes over ten minutes.
    """
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            timeout=_TIMEOUT_SECONDS,
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
        )
    except subprocess.TimeoutExpired as error:
        raise BuildError(
            f"{' '.join(command)}: still running after {_TIMEOUT_SECONDS:.0f} s"
        ) from error
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or error.stdout or "no output").strip().splitlines()
        raise BuildError(f"{' '.join(command)}: {lines[-1]}") from error
    return done.stdout


def unpack(names: list[str], downloads: Path, tree: Path) -> list[str]:
    """Downloads the current versions of the packages into `downloads` and unpacks them into `tree`.

    Returns the packages' file names. Raises BuildError when apt knows none or cannot fetch one.
    """
    downloads.mkdir(parents=True, exist_ok=True)
    run("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *names, cwd=downloads)
    versions = [_candidate(name) for name in names]
    found = []
    for name, version in zip(names, versions, strict=True):
        package = f"{name}_{version.replace(':', '%3a')}_amd64.deb"
        run("dpkg", "-x", str(downloads / package), str(tree))
        found.append(package)
    return found


def kernel_package() -> str:
    """The package that linux-image-amd64 stands for at present.

    Root fetches the package lists when there are none. Raises BuildError without lists.
    """
    for attempt in range(2):
        for line in (
            run("apt-cache", "depends", "linux-image-amd64").splitlines() if _has_lists() else []
        ):
            kind, _, name = line.strip().partition(": ")
            if kind == "Depends":
                return name
        if attempt == 0 and os.geteuid() == 0:
            run("apt-get", "-q", "update")
    raise BuildError(
        "apt has no package lists with linux-image-amd64: run `apt-get update` as root first"
    )


def _has_lists() -> bool:
    return any(Path("/var/lib/apt/lists").glob("*_Packages*"))


def _candidate(name: str) -> str:
    for line in run("apt-cache", "policy", name).splitlines():
        key, _, version = line.strip().partition(": ")
        if key == "Candidate":
            return version
    raise BuildError(f"apt knows no package {name}")
