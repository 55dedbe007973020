"""Devices of an embedded machine hear that it is gone."""

from domwarden.contract import Definition, Host
from domwarden.embedded import Hypervisor, ManualClock
from domwarden.testing.machine import DeviceBench


class _Room:
    """A room with one device that holds something outside of the machine."""

    def __init__(self, said: list[str]) -> None:
        self._said = said

    def ask(self, hook: str, *, machine, **_arguments):
        machine.add_close(lambda: self._said.append(f"{machine.name} is gone"))
        return {"lock": True}


def test_a_destroyed_machine_tells_its_devices_once(tmp_path) -> None:
    """Whatever ended it; what they held outside is theirs to let go."""
    said: list[str] = []
    host = Host("a", tmp_path)
    hypervisor = Hypervisor(ManualClock())
    copy = hypervisor.create(host, Definition("web1", "u", "embedded", 4 * 2**20), _Room(said))
    hypervisor.destroy(copy)
    copy.machine.close()
    assert said == ["web1 is gone"]


def test_the_last_device_is_told_first() -> None:
    """In the reverse of the order in which they were attached."""
    said: list[int] = []
    machine = DeviceBench().machine
    for number in (1, 2):
        machine.add_close(lambda number=number: said.append(number))
    machine.close()
    assert said == [2, 1]
