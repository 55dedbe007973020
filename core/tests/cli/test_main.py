"""The command line answers quickly, and expected errors in one line."""

import json
import subprocess
import sys
from pathlib import Path

import click
import in_process

from domwarden.cli.verbs import VERBS, Verbs

DOMAIN = "domain: {name}\nengine: embedded\nmemory: 2MiB\n"


def domwarden(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "domwarden", *words],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=cwd,
        check=False,
    )


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from domwarden.cli.main import domwarden\n"
        "domwarden.main(['--help'], standalone_mode=False)\n"
        "heavy = {'stevedore', 'rich', 'voluptuous', 'yaml', 'sqlite3', 'asyncio', 'json',"
        "'ssl', 'cryptography'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert "migrate" in run.stdout
    assert run.stderr.strip() == "[]"


def test_what_prints_json_to_a_program_loads_no_rich(tmp_path: Path) -> None:
    (tmp_path / "host.yaml").write_text("host: a\nstate: state\n")
    program = (
        "import sys\n"
        "from domwarden.cli.main import domwarden\n"
        "from domwarden.cli import migrate, progress\n"
        "domwarden.main(['status', '--json', '-H', 'host.yaml'], standalone_mode=False)\n"
        "print([name for name in sys.modules if name.startswith('rich')], file=sys.stderr)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=tmp_path,
    )
    assert (json.loads(run.stdout), run.stderr.strip()) == ([], "[]")


def test_a_misspelt_verb_is_told_its_neighbour() -> None:
    run = domwarden("migrat")
    assert run.returncode == 2
    assert "did you mean 'migrate'?" in run.stderr


def test_check_names_every_problem_and_exits_1(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(DOMAIN.format(name="good"))
    (tmp_path / "bad.yaml").write_text("domain: bad\nengine: embeded\nmemroy: 2MiB\n")
    run = domwarden("check", "good.yaml", "bad.yaml", cwd=tmp_path)
    assert run.returncode == 1
    assert "bad.yaml:2:9: engine:" in run.stdout
    assert "did you mean" in run.stdout
    assert "good.yaml" not in run.stdout
    as_json = in_process.domwarden("check", "--json", "bad.yaml", cwd=tmp_path)
    assert {problem["line"] for problem in json.loads(as_json.stdout)} >= {2, 3}


def test_check_of_good_files_exits_0_and_says_nothing_on_stdout(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(DOMAIN.format(name="good"))
    run = in_process.domwarden("check", "good.yaml", cwd=tmp_path)
    assert (run.returncode, run.stdout) == (0, "")


def test_plugins_and_schema_are_json_for_programs() -> None:
    drivers = json.loads(in_process.domwarden("plugins", "--json").stdout)
    assert {"kind", "name", "distribution", "version", "contract"} <= set(drivers[0])
    assert json.loads(in_process.domwarden("schema").stdout)["$schema"]


def test_an_unknown_domain_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "host.yaml").write_text("host: a\nstate: state\n")
    run = in_process.domwarden("stop", "nobody", "-H", "host.yaml", cwd=tmp_path)
    assert run.returncode == 1
    assert run.stderr.startswith("domwarden: ")
    assert "Traceback" not in run.stderr


def test_a_domain_lives_from_start_to_restore(tmp_path: Path) -> None:
    (tmp_path / "host.yaml").write_text("host: a\nstate: s\n")
    (tmp_path / "web1.yaml").write_text(DOMAIN.format(name="web1"))

    def run(*words: str) -> str:
        done = in_process.domwarden(*words, "-H", "host.yaml", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    started = domwarden("start", "web1.yaml", "-H", "host.yaml", cwd=tmp_path)
    assert started.returncode == 0, started.stderr
    try:
        (status,) = json.loads(run("status", "--json"))
        assert (status["name"], status["state"]) == ("web1", "running")
        run("save", "web1", "saved")
        assert "saved" in run("status")
        run("restore", "saved")
        (status,) = json.loads(run("status", "web1", "--json"))
        assert status["state"] == "running"
        stale = in_process.domwarden("restore", "saved", "-H", "host.yaml", cwd=tmp_path)
        assert stale.returncode == 1
        assert "stale-save" in stale.stderr
    finally:
        run("stop", "web1")
    assert run("recover") == ""


def test_check_without_files_is_wrong_usage() -> None:
    assert in_process.domwarden("check").returncode == 2


def test_every_verb_that_prints_can_print_json() -> None:
    for verb in VERBS:
        command = Verbs().get_command(click.Context(click.Group()), verb)
        assert command is not None
        if verb == "peer":
            continue  # it speaks nothing else
        for each in command.commands.values() if isinstance(command, click.Group) else [command]:
            assert "--json" in {word for option in each.params for word in option.opts}, verb
