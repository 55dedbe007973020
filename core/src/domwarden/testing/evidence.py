"""What a failing live test shows of the other end of a console: its process and its last words."""

from __future__ import annotations

from pathlib import Path

_TAIL_LINES = 15
#: How far above its socket an engine's folder ``logs`` may lie.
_LEVELS = 5


def evidence(console: Path) -> str:
    """Say which processes were given the console's folder, and what the logs end with.

    Reads the folder of the socket, the ``logs`` folders above it, and /proc: see proc(5) for the
    letters of a process's state. Raises nothing: it is told while something else has failed.
    """
    found = [_process(pid) for pid in _pids_with(str(console.parent))]
    lines = [f"processes of {console.parent}:", *(found or ["  none lives"])]
    for log in _logs(console):
        lines += [f"{log} ends with:", *_tail(log)]
    return "\n".join(lines)


def _pids_with(words: str) -> list[int]:
    return [
        int(folder.name)
        for folder in Path("/proc").glob("[0-9]*")
        if words in _text(folder / "cmdline")
    ]


def _process(pid: int) -> str:
    status = dict(
        line.partition(":")[::2] for line in _text(Path(f"/proc/{pid}/status")).splitlines()
    )
    name, state = (status.get(key, "gone").strip() for key in ("Name", "State"))
    return f"  {pid} {name}: {state}"


def _logs(console: Path) -> list[Path]:
    places = [console.parent, *(above / "logs" for above in list(console.parents)[:_LEVELS])]
    return sorted(log for place in places for log in place.glob("*.log") if log.is_file())


def _tail(log: Path) -> list[str]:
    return [f"  {line}" for line in _text(log).splitlines()[-_TAIL_LINES:]] or ["  nothing"]


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""  # it ended meanwhile
