"""``domwarden pki`` as it is typed."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from in_process import domwarden

with_library = pytest.mark.skipif(
    importlib.util.find_spec("cryptography") is None, reason="domwarden[pki] is not installed"
)


def test_without_the_library_it_is_named(tmp_path: Path) -> None:
    """A host that signs nothing does without it."""
    program = (
        "import sys\n"
        "sys.modules['cryptography'] = None\n"
        "from domwarden.cli import main\n"
        "sys.argv[1:] = ['pki', 'init', '--directory', 'pki']\n"
        "main()\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
    )
    assert run.returncode == 1
    assert "pip install 'domwarden[pki]'" in run.stderr
    assert "Traceback" not in run.stderr


@with_library
def test_two_hosts_get_their_files_by_two_commands(tmp_path: Path) -> None:
    """And a third shows them."""
    where = ("--directory", str(tmp_path / "pki"))
    assert domwarden("pki", "init", *where).returncode == 0
    made = domwarden("pki", "host", "m1", "m2", *where, "--json")
    assert set(json.loads(made.stdout)) == {"m1", "m2"}
    shown = json.loads(domwarden("pki", "show", *where, "--json").stdout)
    assert [each["standing"] for each in shown] == ["valid"] * 3
    assert "m2.pem" in domwarden("pki", "show", *where).stdout
    assert domwarden("pki", "host", "--renew", "m2", *where).returncode == 0


@with_library
def test_a_second_authority_is_one_line_and_a_hint(tmp_path: Path) -> None:
    """Whoever types it twice loses nothing."""
    where = ("--directory", str(tmp_path))
    domwarden("pki", "init", *where)
    again = domwarden("pki", "init", *where)
    assert again.returncode == 1
    assert again.stderr.startswith("domwarden: ")
    assert len(again.stderr.splitlines()) == 2
