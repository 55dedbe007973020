"""What must be true after every event, judged from outside of everything that is judged."""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Any

from domwarden.contract import RunState
from domwarden.embedded.hypervisor import Hypervisor
from domwarden.embedded.machine import EmbeddedMachine
from domwarden.migration.savefile import SaveFile

from .disk import Disk
from .process import CALL, CALLER

#: A page that no program of the guest uses: how often the domain was let run before.
MARK = 0x18_0000
_TAKEN = frozenset({RunState.RUNNING, RunState.PAUSED})
_HOLDING = frozenset({RunState.SUSPENDED, RunState.DEPARTED, RunState.RECEIVED, *_TAKEN})


class Violation(AssertionError):
    """A promise was broken."""


class Oracle:
    """Follows the domain's one true state through all copies.

    Each time that a copy is let run, a new number is written into the memory of its guest, and
    travels with it through streams and saves.  A copy that runs with an older number than the
    newest has forgotten what the domain did since: a fork, even if the other one is dead by then.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        #: How a host's copy of the domain is found, and each host's disk.
        self.find: Callable[[str], Any] = lambda _host: None
        self.disks: dict[str, Disk] = {}
        self._leaving: dict[EmbeddedMachine, str] = {}
        self.machines: dict[EmbeddedMachine, str] = {}
        self.newest = 0
        #: Where the newest state was made, and whether only the host's death took it away.
        self.last_host = ""
        self.last_machine: EmbeddedMachine | None = None
        #: Saves that the source released the domain to: path -> number.
        self.saves: dict[str, int] = {}
        self._makers: dict[str, str] = {}
        #: Where a whole copy was made ready.
        self.ready: set[str] = set()
        #: Hosts whose death a person vouches for, for the start that is under way.
        self.fenced: collections.Counter[str] = collections.Counter()
        #: For whose start a person has named which host fenced, since the domain ran last.
        self.named_fenced: set[tuple[str, str]] = set()
        #: The host that had it is no more what it was: the newest state is wherever there is one.
        self.newest_lost = False
        self.power_loss = False
        #: Hosts whose copy died with them.
        self.bereft: set[str] = set()
        self.changed = False
        self.violations: list[str] = []

    def violate(self, what: str) -> None:
        self._say(f"VIOLATION: {what}")
        self.violations.append(what)

    # -- told by the hypervisors

    def created(self, host: str, machine: EmbeddedMachine) -> None:
        self.machines[machine] = host
        self.ready.discard(host)

    def became(self, machine: EmbeddedMachine, before: RunState, state: RunState) -> None:
        host = self.machines.get(machine)
        if host is None or before is state:
            return
        self.changed = True
        self._say(f"{host}: {before} -> {state}")
        if state is RunState.SUSPENDED:
            self._leaving[machine] = self.find(host).sending.migration
        if before is RunState.INCOMING or state not in _TAKEN:
            return
        if before in _TAKEN and state is RunState.PAUSED:
            return
        self._judge_right(host, machine, before)
        self._let_run(host, machine)

    def _judge_right(self, host: str, machine: EmbeddedMachine, before: RunState) -> None:
        """Look into the host's journal, as durable as it is, for the right to let a copy run."""
        disk = self.disks[host]
        if before is RunState.RECEIVED:
            if not disk.has_fact(self.find(host).incoming_migration, "granted"):
                self.violate(f"a copy runs on {host} without a durable grant")
        elif before in {RunState.SUSPENDED, RunState.DEPARTED}:
            migration = self._leaving.pop(machine, "")
            back = any(disk.has_fact(migration, fact) for fact in ("returned", "reclaimed"))
            if disk.decision(migration) == "released" and not back:
                self.violate(f"a copy that was released and not returned runs on {host}")

    def _judge_end(self, host: str, state: RunState) -> None:
        """A whole copy waits for its source's word; nobody ends what another move made."""
        migration = self.find(host).incoming_migration
        method, wanted = CALL.get()
        if method == "discard" and wanted != migration:
            self.violate(f"a discard for one move ended what another one made on {host}")
        if state is RunState.RECEIVED and host in self.ready:
            source = [d for name, d in self.disks.items() if name != host and d.knows(migration)]
            if source and not source[0].decision(migration):
                self.violate(f"a whole copy on {host} was destroyed before its source decided")

    def powered_on(self, host: str, machine: EmbeddedMachine) -> None:
        """A new beginning: the memory is lost on purpose, the disk is not."""
        last = self.last_host
        if last and last != host and not self.fenced[last] and not self._taken_over(host, last):
            self.violate(f"started on {host} with an old disk: it ran on {self.last_host} last")
        for other, where in self.machines.items():
            if other is not machine and other.state in _HOLDING and self.mark(other) == self.newest:
                self.violate(f"started on {host} beside a copy on {where} ({other.state})")
        self._take(host, machine)

    def _taken_over(self, host: str, last: str) -> bool:
        """Say whether a person's word, while the other one was off, has made a host the owner.

        What began by that word may be begun again once the other one is back.
        """
        owns = self.disks[host].epoch() > self.disks[last].epoch()
        return owns and (host, last) in self.named_fenced

    def destroyed(self, host: str, machine: EmbeddedMachine) -> None:
        """A copy goes, because something asked for it or its host lost power."""
        state = machine.state
        migration = self.find(host).incoming_migration
        if not self.power_loss:
            self._judge_end(host, state)
        self.machines.pop(machine, None)
        self.changed = True
        if self.power_loss:
            self.bereft.add(host)
        if machine is self.last_machine:
            self.last_machine = None
        if state not in _HOLDING or self.last_machine is not None:
            return
        if self.power_loss or self.mark(machine) != self.newest:
            return
        if self.newest in self.saves.values() or _asked_to_end():
            return
        if state is RunState.RECEIVED and host not in self.ready:
            return  # whoever is not ready may give up, even if the other one died meanwhile
        left = self._leaving.get(machine, "")
        if not self._aborted(migration) and not self.disks[host].has_fact(left, "written-off"):
            self.violate(f"the domain's newest state was destroyed on {host} ({state})")

    def _aborted(self, migration: str) -> bool:
        """Whether the domain was the source's again, which then died with it."""
        return any(disk.decision(migration) == "aborted" for disk in self.disks.values())

    # -- told by the saves

    def sealed(self, path: str, maker: str) -> None:
        self.saves[path] = self.newest
        self._makers[path] = maker

    def removed(self, path: str, by: str) -> None:
        if self._makers.pop(path, by) != by:
            self.violate("a save was removed by a move that did not make it")
        newest = self.saves.pop(path, -1) == self.newest
        if newest and self.last_machine is None and not self._aborted(by):
            self.violate("the save that holds the domain's newest state was removed")

    def cut_short(self, path: str) -> None:
        """A power cut took something of a whole save, which its maker had not synced."""
        maker = self._makers.pop(path, "")
        newest = self.saves.pop(path, -1) == self.newest
        if newest and any(disk.decision(maker) == "released" for disk in self.disks.values()):
            self.violate("the save that holds the domain's newest state was not synced")

    def lost(self, host: str) -> None:
        """All that a host knew is gone, and what ran there last is where anybody still has it."""
        if self.last_host == host:
            self.last_host, self.newest_lost = "", True

    # -- asked after every event

    def check(self) -> None:
        if not self.changed:
            return
        self.changed = False
        running = [host for m, host in self.machines.items() if m.state is RunState.RUNNING]
        if len(running) > 1:
            self.violate(f"two copies run: {sorted(running)}")

    def alive(self) -> dict[str, RunState]:
        """Return the copies that are or were let run, by host."""
        return {host: m.state for m, host in self.machines.items() if m.state in _TAKEN}

    def standing(self, host: str) -> bool:
        """Say whether a suspended copy there is the domain's newest state."""
        suspended = {RunState.SUSPENDED, RunState.DEPARTED}
        return any(
            where == host and machine.state in suspended and self.mark(machine) == self.newest
            for machine, where in self.machines.items()
        )

    def left_over(self, owner: str) -> dict[str, RunState]:
        """Return what is more than remains on other hosts."""
        return {
            host: machine.state
            for machine, host in self.machines.items()
            if host != owner and machine.state is not RunState.ENDED
        }

    def holding(self) -> dict[str, RunState]:
        """Return every copy that is more than remains."""
        return {host: m.state for m, host in self.machines.items() if m.state in _HOLDING}

    @staticmethod
    def mark(machine: EmbeddedMachine) -> int:
        return int.from_bytes(machine.memory.read(MARK, 8), "little")

    def _let_run(self, host: str, machine: EmbeddedMachine) -> None:
        mark = self.mark(machine)
        if mark != self.newest and not self.newest_lost:
            self.violate(f"a copy of the past runs on {host}: {mark}, the newest is {self.newest}")
        self._take(host, machine)

    def _take(self, host: str, machine: EmbeddedMachine) -> None:
        self.newest_lost = False
        self.newest += 1
        machine.memory.write(MARK, self.newest.to_bytes(8, "little"))
        self.last_host, self.last_machine = host, machine
        self.named_fenced.clear()


def _asked_to_end() -> bool:
    caller = CALLER.get()
    return caller is not None and caller.verb in {"start", "stop"}


def _maker(save: SaveFile) -> str:
    """Return the id of the move that a save's hidden name tells."""
    return save.partial.name.split(".")[-2]


def watched(oracle: Oracle, patch: Callable[[Any, str, Any], None]) -> None:
    """Have every hypervisor of this process tell the oracle."""
    create, destroy, power_on = Hypervisor.create, Hypervisor.destroy, Hypervisor._power_on
    become = EmbeddedMachine.become

    def created(self: Hypervisor, host: Any, definition: Any, room: Any) -> Any:
        copy = create(self, host, definition, room)
        oracle.created(host.name, copy.machine)
        return copy

    def destroyed(self: Hypervisor, copy: Any) -> None:
        oracle.destroyed(copy.host.name, copy.machine)
        destroy(self, copy)

    def powered_on(self: Hypervisor, copy: Any) -> None:
        power_on(self, copy)
        oracle.powered_on(copy.host.name, copy.machine)

    def became(self: EmbeddedMachine, state: RunState, detail: str = "") -> None:
        before = self.state
        become(self, state, detail)
        oracle.became(self, before, state)

    seal, remove = SaveFile.seal, SaveFile.remove

    def sealed(self: SaveFile, manifest: Any) -> None:
        seal(self, manifest)
        oracle.sealed(str(self.path), _maker(self))

    def removed(self: SaveFile) -> None:
        there = self.path.exists()
        remove(self)
        if there and not self.path.exists():
            oracle.removed(str(self.path), _maker(self))

    patch(SaveFile, "seal", sealed)
    patch(SaveFile, "remove", removed)
    patch(Hypervisor, "create", created)
    patch(Hypervisor, "destroy", destroyed)
    patch(Hypervisor, "_power_on", powered_on)
    patch(EmbeddedMachine, "become", became)
