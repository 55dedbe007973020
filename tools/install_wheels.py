"""Installs distributions of the workspace from wheels built out of its present sources.

A wheel is built once for each state of its sources and shared by all environments; ``uv`` builds
and installs, since it needs neither itself nor a build backend inside the environment under test.
"""

import argparse
import fcntl
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workspace import ROOT, Distribution, distributions, lower_bounds

BUILD_LIMIT_SECONDS = 300
INSTALL_LIMIT_SECONDS = 600


def main() -> None:
    """Build what is out of date, then install it into the environment of this interpreter."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheels", type=Path, help="directory that keeps the built wheels")
    parser.add_argument(
        "folders",
        nargs="*",
        help="distributions, as in plugins/blk or core[pki]; none: all with all extras",
    )
    parser.add_argument("--oldest", action="store_true", help="with the oldest libraries allowed")
    options = parser.parse_args()
    known = {each.folder: (each, "") for each in distributions()}
    whole = []
    for each in distributions():
        known |= {f"{each.folder}[{extra}]": (each, f"[{extra}]") for extra in each.extras}
        whole.append((each, f"[{','.join(each.extras)}]" if each.extras else ""))
    unknown = set(options.folders) - set(known)
    if unknown:
        parser.error(f"no such distribution: {', '.join(sorted(unknown))}")
    wanted = [known[folder] for folder in options.folders] or whole
    with _locked(options.wheels):
        paths = [f"{_wheel(each, options.wheels)}{extras}" for each, extras in wanted]
    _install([each for each, _ in wanted], paths, oldest=options.oldest)


def _install(wanted: list[Distribution], paths: list[str], *, oldest: bool) -> None:
    command = [_uv(), "pip", "install", "--quiet", "--python", sys.executable]
    for distribution in wanted:
        # Same name, same version, other content: without this uv keeps the wheel of the last run.
        command += ["--reinstall-package", distribution.name]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        if oldest:
            constraints.writelines(f"{name}=={old}\n" for name, old in lower_bounds().items())
            constraints.flush()
            command += ["--constraint", constraints.name]
        subprocess.run([*command, *paths], check=True, timeout=INSTALL_LIMIT_SECONDS)


def _wheel(distribution: Distribution, wheels: Path) -> Path:
    target = wheels / f"{distribution.name}-{_fingerprint(ROOT / distribution.folder)}"
    if not target.exists():
        for outdated in wheels.glob(f"{distribution.name}-{'?' * 16}"):
            shutil.rmtree(outdated)
        building = wheels / "building"
        shutil.rmtree(building, ignore_errors=True)
        command = [_uv(), "build", "--quiet", "--wheel", "--out-dir", str(building)]
        subprocess.run(
            [*command, str(ROOT / distribution.folder)], check=True, timeout=BUILD_LIMIT_SECONDS
        )
        building.rename(target)
    (path,) = target.glob("*.whl")
    return path


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted([folder / "pyproject.toml", folder / "README.md", *folder.glob("src/**/*")]):
        if path.is_file() and "__pycache__" not in path.parts:
            content = path.read_bytes()
            digest.update(f"{path.relative_to(folder)} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Let one environment build while the others wait for its wheels."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _uv() -> str:
    found = shutil.which("uv")
    if found is None:
        sys.exit("uv is not on PATH: run this through tox, which brings it")
    return found


if __name__ == "__main__":
    main()
