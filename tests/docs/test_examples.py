"""Every example in the pages runs: files are checked, commands are executed, code is run.

- ``yaml``: a domain or host file, or a part of one; it must be in order.  With a first line
  ``# NAME.yaml`` it is also written for the commands of its page.
- ``console``: lines after ``$ `` are executed, one after the other, in one directory a page.  What
  is shown must come out; digits may differ, ``...`` is anything.  A command whose last shown
  line is ``# exits N`` ends so.
- ``python``: run; with a first line ``# NAME.py`` it is written for the commands.
- ``sh``: not run; installing, which the test of the distributions does.
- no language: lines that begin with ``domwarden`` or ``make`` name real verbs, options and targets.
"""

import ast
import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import in_process
import pytest
import yaml
from workspace import ROOT

from domwarden.config import check_files

from .pages import Block, Page, pages

_NAMED = re.compile(r"# ([\w./-]+\.(?:yaml|py|toml))\n")
_RUNNABLE = {"domwarden", "pytest", "python", "truncate", "touch", "mkdir", "ls"}
_INSTALLING = {"pip", "make", "apt", "git", "systemctl"}
_LIMIT_SECONDS = 60


def _id(value: Block | Page) -> str:
    return value.name if isinstance(value, Page) else str(value)


YAML = [block for each in pages() for block in each.blocks("yaml")]
CONSOLE = [each for each in pages() if any(each.blocks("console"))]
PYTHON = [block for each in pages() for block in each.blocks("python")]


def _wholes(text: str) -> list[str]:
    """Make whole files of a part of one: with the engine that it names, or with each."""
    data = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - it makes text of everything
    if "domain" in data or "host" in data or "guard" in data:
        return [text]
    if set(data) <= {"drivers", "peers"}:
        return [f"host: a\n{text}"]
    head = "domain: web1\nmemory: 16MiB\n"
    if "engine" in data:
        return [head + text]
    return [f"{head}engine: {engine}\n{text}" for engine in ("embedded", "qemu")]


@pytest.mark.parametrize("block", YAML, ids=_id)
def test_yaml_is_in_order(block: Block, tmp_path: Path) -> None:
    """Each file, or part of one, is accepted with the installed drivers, by some engine."""
    found = []
    for whole in _wholes(block.text):
        file = tmp_path / "example.yaml"
        file.write_text(whole)
        found.append([str(problem) for problem in check_files([file])])
    assert [] in found, found


def _write_files(of: Page, directory: Path) -> None:
    for language in ("yaml", "python", "toml"):
        for block in of.blocks(language):
            named = _NAMED.match(block.text)
            if named:
                file = directory / named[1]
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(block.text)


def _commands(block: Block) -> list[tuple[str, list[str]]]:
    """Return each command with the lines that are shown below it."""
    found: list[tuple[str, list[str]]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found:
            found[-1][1].append(line)
    return found


class Shell:
    """Runs commands in one directory; ours in this process, which saves half a second each."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory = directory
        monkeypatch.chdir(directory)
        for name, value in {
            "COLUMNS": "200",
            "NO_COLOR": "1",
            "PYTHONPATH": str(directory),
            "XDG_STATE_HOME": str(directory / "state"),
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("DOMWARDEN_HOST", raising=False)

    def run(self, command: str) -> in_process.Ran:
        words = shlex.split(command)
        assert words[0] in _RUNNABLE, f"{words[0]} is not run in examples"
        if words[0] == "domwarden":
            return in_process.domwarden(*words[1:], together=True)
        if words[0] == "pytest":
            words = [sys.executable, "-m", *words, "-p", "no:cacheprovider"]
        elif words[0] == "python":
            words[0] = sys.executable
        done = subprocess.run(
            words,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_LIMIT_SECONDS,
            check=False,
        )
        return in_process.Ran(done.returncode, done.stdout, "")


def _matches(shown: list[str], output: str) -> bool:
    """Say whether the shown lines come out in their order; numbers and spaces may differ."""
    pattern = [
        ".*" if line.strip() == "..." else re.escape(_plain(line)).replace(r"\.\.\.", ".*")
        for line in shown
        if line.strip()
    ]
    lines = "\n".join(_plain(line) for line in output.splitlines() if line.strip())
    return (
        re.fullmatch("\n".join(pattern).replace(".*\n", "(?:.*\n)*?"), lines, re.DOTALL) is not None
    )


def _plain(line: str) -> str:
    line = re.sub(r"\b[0-9a-f]{12}\b", "N", line)
    return re.sub(r"\s+", " ", re.sub(r"\d+(\.\d+)?", "N", line)).strip()


@pytest.mark.parametrize("of", CONSOLE, ids=_id)
def test_commands_run_as_shown(of: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands of a page work one after the other, and say what the page shows."""
    _write_files(of, tmp_path)
    shell = Shell(tmp_path, monkeypatch)
    try:
        for block in of.blocks("console"):
            for command, shown in _commands(block):
                status = 0
                if shown and shown[-1].startswith("# exits "):
                    status = int(shown.pop().removeprefix("# exits "))
                ran = shell.run(command)
                told = f"{block}: $ {command}\n{ran.stdout}"
                assert ran.returncode == status, told
                assert not shown or _matches(shown, ran.stdout), told
    finally:
        _stop_all(shell)


def _stop_all(shell: Shell) -> None:
    """Stop the domains that a page started, so that their processes end."""
    for host in ("a.yaml", "b.yaml"):
        if (shell.directory / host).exists():
            listed = shell.run(f"domwarden status --json -H {host}")
            for name in re.findall(r'"name": "(\w+)"', listed.stdout):
                shell.run(f"domwarden stop {name} -H {host}")


@pytest.mark.parametrize("block", PYTHON, ids=_id)
def test_python_runs(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece of Python runs as it stands, beside the files of its page."""
    _write_files(block.page, tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    try:
        exec(compile(block.text, str(block), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), {})  # noqa: S102 - our own pages
    finally:
        for name in set(sys.modules) - before:
            if getattr(sys.modules[name], "__file__", "") and str(tmp_path) in str(
                sys.modules[name].__file__
            ):
                del sys.modules[name]


@pytest.mark.parametrize(
    "block", [block for each in pages() for block in each.blocks("sh")], ids=_id
)
def test_installing_commands_install_what_is_there(block: Block) -> None:
    """A command that no test runs installs something, from a folder that exists."""
    for line in block.text.splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        assert words[0] in _INSTALLING, f"{block}: {line}"
        for word in words:
            if word.startswith("./"):
                assert (block.page.path.parents[0] / word).exists() or (
                    Path(__file__).parents[2] / word
                ).exists(), f"{block}: {word}"


def _plain_lines() -> list[tuple[str, str]]:
    found = []
    for each in pages():
        for block in (*each.blocks(""), *each.blocks("sh")):
            for line in block.text.splitlines():
                command = re.split(r"  +|#", line.strip())[0].strip()
                if command.startswith(("domwarden ", "make ")):
                    found.append((str(block), command))
    return found


@pytest.mark.parametrize(("where", "command"), _plain_lines())
def test_shown_command_lines_are_right(where: str, command: str) -> None:
    """A command that is only shown would be understood: verb, arguments, options, targets."""
    words = shlex.split(command)
    if words[0] == "make":
        makefile = (ROOT / "Makefile").read_text()
        targets = set(" ".join(re.findall(r"^\.PHONY:(.*)$", makefile, re.MULTILINE)).split())
        assert {word for word in words[1:] if "=" not in word} <= targets, where
        return
    verb = importlib.import_module(f"domwarden.cli.{words[1]}").command
    verb.make_context(words[1], words[2:])
