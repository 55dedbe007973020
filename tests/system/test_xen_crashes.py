"""A whole migration on the Xen engine with a third party's device, killed at each point it knows.

Xen is a fake ``xl`` that speaks xl's own messages (plugins/xen/tests); everything else is real.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from domwarden.migration.crash import KNOWN_POINTS

ROOT = Path(__file__).resolve().parents[2]
HOST = """\
host: {name}
state: {name}/state
peers: {{{other}: {{config: {other}.yaml}}}}
drivers:
  xen: {{xl: {folder}/{name}/xl, log_directory: {folder}/{name}/host/log}}
  licence: {{directory: {folder}/licences}}
"""
DOMAIN = """\
domain: web1
engine: xen
memory: 128MiB
boot: {kernel: /guest/vmlinux}
devices:
  cad: {driver: licence, licence: cad-1}
"""
LIMIT_SECONDS = 120.0


def _fake_world() -> Any:
    place = ROOT / "plugins/xen/tests/fake_world.py"
    spec = importlib.util.spec_from_file_location("fake_world", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _hosts(folder: Path) -> None:
    (folder / "licences").mkdir()
    (folder / "licences/cad-1.free").write_text("")
    fake = _fake_world()
    for name, other in (("a", "b"), ("b", "a")):
        fake.install(folder / name)
        text = HOST.format(name=name, other=other, folder=folder)
        (folder / f"{name}.yaml").write_text(text)
    (folder / "web1.yaml").write_text(DOMAIN)


def _domwarden(folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "domwarden", *words],
        cwd=folder,
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
    )


def _copies(folder: Path) -> list[tuple[str, str, bool]]:
    """Return host, name and whether it runs, of every copy: the oracle is Xen itself."""
    found = []
    for name in ("a", "b"):
        for copy in json.loads((folder / name / "host/state.json").read_text())["domains"].values():
            runs = not copy["pauses"] and copy["code"] is None and not copy["dying"]
            if copy["name"].startswith("web1"):
                found.append((name, copy["name"], runs))
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pytest.importorskip("domwarden_xen", reason="the Xen engine is not installed here")
    pytest.importorskip("floating_licence", reason="the example is not installed here")
    _hosts(tmp_path)
    return tmp_path


def _end(folder: Path) -> None:
    for name in ("a", "b"):
        _domwarden(folder, "stop", "web1", "-H", f"{name}.yaml")


@pytest.mark.slow
def test_a_domain_moves_is_saved_and_restored_with_its_device(folder: Path) -> None:
    """The licence takes part in all of it, and each time exactly one copy is there."""
    assert _domwarden(folder, "start", "web1.yaml", "-H", "a.yaml").returncode == 0
    try:
        moved = _domwarden(folder, "migrate", "web1", "--to", "b", "-H", "a.yaml")
        assert moved.returncode == 0, moved.stderr
        assert _copies(folder) == [("b", "web1", True)]
        assert [path.name for path in folder.glob("licences/*")] == ["cad-1.held.b.web1"]
        assert _domwarden(folder, "save", "web1", "save1", "-H", "b.yaml").returncode == 0
        assert _copies(folder) == []
        assert _domwarden(folder, "restore", "save1", "-H", "b.yaml").returncode == 0
        assert _copies(folder) == [("b", "web1", True)]
    finally:
        _end(folder)


@pytest.mark.slow
@pytest.mark.parametrize("point", KNOWN_POINTS)
def test_one_copy_runs_after_the_move_was_killed(folder: Path, point: str) -> None:
    """Whoever watches the driver settles the move; the licence is where the domain is."""
    assert _domwarden(folder, "start", "web1.yaml", "-H", "a.yaml").returncode == 0
    try:
        _domwarden(folder, "migrate", "web1", "--to", "b", "-H", "a.yaml", DOMWARDEN_CRASH_AT=point)
        deadline = time.monotonic() + LIMIT_SECONDS
        while True:
            for name in ("a", "b"):
                _domwarden(folder, "recover", "-H", f"{name}.yaml")
            copies = _copies(folder)
            if len(copies) == 1 and copies[0][2]:
                break
            assert time.monotonic() < deadline, copies
        host, name, _ = copies[0]
        assert name == "web1"
        held = [path.name for path in folder.glob("licences/*")]
        assert held == [f"cad-1.held.{host}.web1"]
    finally:
        _end(folder)
