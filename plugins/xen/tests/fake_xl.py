"""A fake ``xl`` at the wire: a real program that keeps a host in a file, with xl's own lies.

What it does was seen of xl 4.17: ``pause`` counts; ``unpause`` exits 0 on a suspended domain and
does nothing; ``trigger reset`` is not implemented; ``create`` leaves a monitor behind that acts on
the domain's end, writes it down, and ends for good when the domain suspends.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fake_config  # the program's own folder is on its path
import fake_world as fake
from fake_config import NoError
from fake_world import REBOOT, SUSPEND, Domain, World

_LETTERS = "-rscw"
_SETTINGS = ("on_poweroff", "on_reboot", "", "on_crash", "on_watchdog")
_MONITOR_SECONDS = 0.04


def main(directory: str) -> None:
    """Be xl."""
    host = Path(directory)
    verb, *arguments = sys.argv[1:]
    verbs: dict[str, Callable[[Path, list[str]], None]] = {
        "list": _list,
        "info": _info,
        "create": _create,
        "pause": _pause,
        "unpause": _unpause,
        "destroy": _destroy,
        "shutdown": _shutdown,
        "rename": _rename,
        "trigger": _trigger,
        "dump-core": _dump_core,
        "debug-keys": _debug_keys,
        "dmesg": _dmesg,
        "migrate": _migrate,
        "migrate-receive": _receive,
    }
    with fake.world(host) as state:
        state["calls"].append(sys.argv[1:])
        lie = state["lies"].get(verb)
    if lie == "hang":
        signal.pause()
    if lie == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        if lie == "no":
            raise NoError(f"libxl: error: fake: {verb} refused")
        if verb not in verbs:
            raise NoError(f"command not implemented: {verb}")
        verbs[verb](host, arguments)
    except NoError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


def _migrate(host: Path, arguments: list[str]) -> None:
    import fake_migration  # here, because every other call of xl would pay for it

    fake_migration.migrate(host, arguments)


def xenstore_read(directory: str) -> None:
    """Be ``xenstore-read`` of a domain's control/shutdown."""
    domid = sys.argv[1].split("/")[3]
    with fake.world(Path(directory)) as state:
        print(_of(state, domid)[1].get("asked", ""))


def _of(state: World, name: str) -> tuple[str, Domain]:
    found = fake.find(state, name)
    if found is None:
        raise NoError(f"{name} is an invalid domain identifier (rc=-6)")
    return found


def _list(host: Path, arguments: list[str]) -> None:
    with fake.world(host) as state:
        if arguments[:1] == ["-l"]:
            domid, domain = _of(state, arguments[1])
            print(json.dumps([{"domid": int(domid), "config": domain["config"]}]))
            return
        print(
            "Name                                        ID   Mem VCPUs\tState\tTime(s)"
            "   UUID                            Reason-Code\tSecurity Label"
        )
        for domid, domain in state["domains"].items():
            print(_row(domid, domain))


def _row(domid: str, domain: Domain) -> str:
    code = domain["code"]
    letter = "-" if code is None else (_LETTERS[code] if code < len(_LETTERS) else "?")
    runs = "r" if domid == "0" else "-"
    blocked = "b" if fake.running(domain) and domid != "0" else "-"
    paused = "p" if domain["pauses"] else "-"
    shut = "-" if code is None else "s"
    dying = "d" if domain["dying"] else "-"
    flags = f"{runs}{blocked}{paused}{shut}{letter}{dying}"
    reason = "-" if code is None else str(code)
    return (
        f"{domain['name']:<40} {domid:>5} {domain['memory']:>5} {domain['vcpus']:>5}     {flags}"
        f"  {domain['guest'].get('ran', 9.9):8.1f} {domain['uuid']} {reason:>8} {'-':>16}"
    )


def _info(host: Path, _arguments: list[str]) -> None:
    with fake.world(host) as state:
        for key, value in state["info"].items():
            print(f"{key:<23}: {value}")


def _create(host: Path, arguments: list[str]) -> None:
    held = "-p" in arguments
    config = fake_config.parse(Path(arguments[-1]).read_text())
    print(f"Parsing config from {arguments[-1]}", file=sys.stderr)
    with fake.world(host) as state:
        domid = _build(state, config, held=held)
    _monitor(host, domid, config)


def _build(state: World, config: dict[str, Any], *, held: bool) -> str:
    if any(domain["name"] == config["name"] for domain in state["domains"].values()):
        raise NoError(f'libxl: error: Domain with name "{config["name"]}" already exists.')
    domid = str(state["next"])
    state["next"] += 1
    state["domains"][domid] = {
        "name": config["name"],
        "uuid": config["uuid"],
        "pauses": int(held),
        "code": None,
        "dying": False,
        "memory": config["memory"],
        "vcpus": config["vcpus"],
        "config": config,
        "guest": fake.new_guest(state),
        "dumps": 0,
    }
    return domid


def _monitor(host: Path, domid: str, config: dict[str, Any]) -> None:
    """Leave xl's monitor behind: this very process goes on as a daemon."""
    sys.stdout.flush()
    if os.fork():
        return
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    log = host / "log" / f"xl-{config['name']}.log"
    log.write_text("")
    try:
        _watch(host, domid, config, log)
    except FileNotFoundError:
        pass  # the host is gone
    os._exit(0)


def _watch(host: Path, domid: str, config: dict[str, Any], log: Path) -> None:
    _note(log, f"Waiting for domain {config['name']} (domid {domid}) to die [pid {os.getpid()}]")
    while True:
        time.sleep(_MONITOR_SECONDS)
        with fake.world(host) as state:
            domain = state["domains"].get(domid)
            if domain is None:
                return
            code = domain["code"]
            if code is None:
                continue
            _note(log, f"Domain {domid} has shut down, reason code {code} 0x{code:x}")
            if code == SUSPEND:
                return  # "Domain has suspended. Done. Exiting now"
            action = config.get(_SETTINGS[code], "restart" if code == REBOOT else "destroy")
            if action == "preserve":
                return
            if action.startswith("coredump"):
                state["dumped"] = int(domid)
            del state["domains"][domid]
            if not action.endswith("restart"):
                return
            _note(log, "Done. Rebooting now")
            if state["lies"].get("restart") == "no":
                return  # a hotplug script's time-out, for instance
            domid = _build(state, config, held=False)
            _note(log, f"Waiting for domain {config['name']} (domid {domid}) to die [pid 1]")


def _note(log: Path, line: str) -> None:
    with log.open("a") as file:
        file.write(f"{line}\n")


def _receive(host: Path, arguments: list[str]) -> None:
    import fake_migration  # as above

    fake_migration.receive(host, arguments, _build, _monitor, fake_config.parse)


def _change(host: Path, who: str, /, **what: Any) -> None:
    with fake.world(host) as state:
        _of(state, who)[1].update(what)


def _pause(host: Path, arguments: list[str]) -> None:
    with fake.world(host) as state:
        _of(state, arguments[0])[1]["pauses"] += 1


def _unpause(host: Path, arguments: list[str]) -> None:
    with fake.world(host) as state:
        domain = _of(state, arguments[0])[1]
        domain["pauses"] = max(0, domain["pauses"] - 1)  # 0 even where nothing can run


def _destroy(host: Path, arguments: list[str]) -> None:
    with fake.world(host) as state:
        del state["domains"][_of(state, arguments[0])[0]]


def _shutdown(host: Path, arguments: list[str]) -> None:
    with fake.world(host) as state:
        domid, domain = _of(state, arguments[-1])
        print(f"Shutting down domain {domid}")
        if not domain["guest"]["hung"] and fake.running(domain):
            domain["code"] = fake.POWEROFF


def _rename(host: Path, arguments: list[str]) -> None:
    _change(host, arguments[0], name=arguments[1])


def _trigger(host: Path, arguments: list[str]) -> None:
    with fake.world(host) as state:
        domid, domain = _of(state, arguments[0])
        if arguments[1] != "nmi":
            raise NoError(
                f"libxl: error: Domain {domid}:Send trigger '{arguments[1]}' failed:"
                " Function not implemented"
            )
        domain["guest"]["nmis"] = domain["guest"].get("nmis", 0) + 1


def _dump_core(host: Path, arguments: list[str]) -> None:
    with fake.world(host) as state:
        domid, _ = _of(state, arguments[0])
        Path(arguments[1]).write_text(f"core of {domid}")


def _debug_keys(host: Path, _arguments: list[str]) -> None:
    with fake.world(host) as state:
        lines = ["'q' pressed -> dumping domain info (now = 816078318930)"]
        for domid, domain in state["domains"].items():
            lines += [
                f"General information for domain {domid}:",
                f"    refcnt=3 dying=0 pause_count={domain['pauses']}",
            ]
            guest = domain["guest"]
            if guest.get("timeout"):
                left = guest["kicked"] + guest["timeout"] - state["clock"]
                lines.append(f"    watchdog 0 expires in {int(left * 1e9 / 2**30)} seconds")
            lines += ["    VCPU0: CPU0 [has=F] poll=0", "    pause_count=0 pause_flags=0"]
        state["dmesg"] += "".join(f"(XEN) {line}\n" for line in lines)


def _dmesg(host: Path, _arguments: list[str]) -> None:
    with fake.world(host) as state:
        print(state["dmesg"], end="")
