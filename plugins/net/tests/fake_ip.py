"""A fake ``ip`` on PATH: keeps interfaces in a JSON file, and records each call."""

import json
import stat
import sys
from pathlib import Path
from typing import Any

PROGRAM = """#!{python}
import json, os, sys
folder = {folder!r}
state = folder + "/links.json"
arguments = sys.argv[1:]
with open(folder + "/calls", "a") as calls:
    calls.write(json.dumps(arguments) + "\\n")
links = json.load(open(state))
def end(code, text=""):
    json.dump(links, open(state, "w"))
    print(text, file=sys.stderr)
    sys.exit(code)
refused = json.load(open(folder + "/refused.json"))
for words, text in refused.items():
    if words in " ".join(arguments):
        end(2, text)
words = [word for word in arguments if not word.startswith("-")]
name = words[words.index("dev") + 1]
if words[:2] == ["tuntap", "add"]:
    if name in links:
        end(1, "ioctl(TUNSETIFF): Device or resource busy")
    links[name] = {{"ifname": name, "linkinfo": {{"info_kind": "tun"}}}}
elif name not in links:
    end(1, 'Device "%s" does not exist.' % name)
elif words[:2] == ["link", "show"]:
    print(json.dumps([links[name]]))
elif words[:2] == ["link", "delete"]:
    del links[name]
elif words[:2] == ["link", "set"]:
    rest = words[words.index("dev") + 2:]
    links[name].update({{rest[0]: rest[1] if len(rest) > 1 else True}})
else:
    end(255, 'Command "%s" is unknown' % words)
end(0)
"""


class FakeIp:
    """What the fake was told, and what it pretends."""

    def __init__(self, folder: Path, monkeypatch: Any) -> None:
        self._folder = folder
        program = folder / "ip"
        program.write_text(PROGRAM.format(python=sys.executable, folder=str(folder)))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        self.refuse({})
        self.links = {}
        monkeypatch.setenv("PATH", str(folder))

    @property
    def links(self) -> dict[str, Any]:
        return dict(json.loads((self._folder / "links.json").read_text()))

    @links.setter
    def links(self, links: dict[str, Any]) -> None:
        (self._folder / "links.json").write_text(json.dumps(links))

    def add(self, name: str, kind: str) -> None:
        self.links = {**self.links, name: {"ifname": name, "linkinfo": {"info_kind": kind}}}

    def refuse(self, texts: dict[str, str]) -> None:
        """Fail each call that contains the words, with a text."""
        (self._folder / "refused.json").write_text(json.dumps(texts))

    @property
    def changes(self) -> list[str]:
        """The calls that were no questions."""
        calls = self._folder / "calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        return [" ".join(json.loads(line)) for line in lines if "show" not in line]
