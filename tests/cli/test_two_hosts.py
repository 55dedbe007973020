"""The verbs that need two hosts and all the drivers, on the embedded engine."""

import contextlib
import json
import os
import pty
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml
from in_process import domwarden


def hosts(directory: Path, domain: dict[str, object]) -> None:
    for host, peer in (("a", "b"), ("b", "a")):
        facts = {"host": host, "state": host, "peers": {peer: {"config": f"{peer}.yaml"}}}
        (directory / f"{host}.yaml").write_text(yaml.safe_dump(facts))
    whole = {"domain": "web1", "engine": "embedded", "memory": "2MiB", **domain}
    (directory / "web1.yaml").write_text(yaml.safe_dump(whole))


def test_migrate_moves_a_domain_and_draws_it(tmp_path: Path) -> None:
    hosts(tmp_path, {"devices": {"eth0": {"driver": "net", "mode": "user"}}})
    assert domwarden("start", "web1.yaml", "-H", "a.yaml", cwd=tmp_path).returncode == 0
    try:
        plan = domwarden("plan", "web1", "--to", "b", "--json", "-H", "a.yaml", cwd=tmp_path)
        assert json.loads(plan.stdout)["refusals"] == []
        words = ("migrate", "web1", "--to", "b", "--timeline", "--picture", "move.svg")
        moved = domwarden(*words, "-H", "a.yaml", cwd=tmp_path)
        assert moved.returncode == 0, moved.stderr
        assert "blackout" in moved.stdout
        assert "released by the source" in moved.stderr
        ET.parse(tmp_path / "move.svg")
        (there,) = json.loads(domwarden("status", "--json", "-H", "b.yaml", cwd=tmp_path).stdout)
        (here,) = json.loads(domwarden("status", "--json", "-H", "a.yaml", cwd=tmp_path).stdout)
        assert (there["state"], here["state"], here["moved_to"]) == ("running", "absent", "b")
    finally:
        for host in ("a.yaml", "b.yaml"):
            domwarden("stop", "web1", "-H", host, cwd=tmp_path)


def test_every_refusal_is_told_at_once_with_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "disk.img").write_bytes(bytes(4096))
    disk = {"driver": "blk", "source": "disk.img", "format": "raw", "placement": "local"}
    hosts(tmp_path, {"devices": {"root": disk, "tpm0": {"driver": "tpm"}}})
    assert domwarden("start", "web1.yaml", "-H", "a.yaml", cwd=tmp_path).returncode == 0
    try:
        for verb in ("plan", "migrate"):
            refused = domwarden(verb, "web1", "--to", "b", "-H", "a.yaml", cwd=tmp_path)
            assert refused.returncode == 1
            for word in ("device", "reason", "remedy", "root", "tpm0"):
                assert word in refused.stderr
        (status,) = json.loads(domwarden("status", "--json", "-H", "a.yaml", cwd=tmp_path).stdout)
        assert status["state"] == "running"
    finally:
        domwarden("stop", "web1", "-H", "a.yaml", cwd=tmp_path)


@pytest.mark.live
def test_the_demonstration_runs_and_loses_nothing(tmp_path: Path) -> None:
    """On a terminal, where it shows bars for what takes long; elsewhere lines are all."""
    ours, theirs = pty.openpty()
    with (
        (tmp_path / "said.json").open("w") as said,
        subprocess.Popen(
            [sys.executable, "-m", "domwarden", "demo", "--json"],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=theirs,
            cwd=tmp_path,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "120", "NO_COLOR": "1"},
        ) as run,
    ):
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # how Linux says that the other end is closed
            while part := os.read(ours, 65536):
                shown += part
        os.close(ours)
        assert run.wait(timeout=120) == 0, shown.decode()
    assert b"ALARM" not in shown
    for bar in (b"the guest boots", b"the watchdog ", b"the guest counts", b"pre-copy"):
        assert bar in shown
    facts = json.loads((tmp_path / "said.json").read_text())
    assert facts["destination"] == "b"
    assert facts["blackout_seconds"] > 0
    assert not any(span["failed"] for span in facts["spans"])
    ET.parse(tmp_path / "domwarden-demo.svg")
