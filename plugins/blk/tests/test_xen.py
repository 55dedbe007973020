"""A disk in an xl configuration."""

from pathlib import Path

from domwarden.contract import Definition, DeviceEntry, Domain, End, Host, Movement
from domwarden.testing.jobs import run
from domwarden_blk import Blk

HOST = Host("b", Path("/state"), {"blk": {"directories": {"/srv/a": "/srv/b"}}})
DISKS = {
    "root": {"source": "/srv/a/root.img", "format": "raw", "placement": "shared"},
    "data": {"source": "/dev/mapper/lun", "format": "raw", "readonly": True},
}


def test_disks_are_named_in_the_order_of_the_file() -> None:
    """Each has its own name for the guest, and this host's path; xl guesses nothing."""
    entries = [DeviceEntry("eth0", "net"), *(DeviceEntry(i, "blk", o) for i, o in DISKS.items())]
    definition = Definition("web1", "u", "xen", 2**28, devices=tuple(entries))
    made = [
        Blk(name, options).xl_config(Domain(definition, HOST, device=name))
        for name, options in DISKS.items()
    ]
    assert made == [
        {"disk": [{"format": "raw", "vdev": "xvda", "access": "rw", "target": "/srv/b/root.img"}]},
        {"disk": [{"format": "raw", "vdev": "xvdb", "access": "ro", "target": "/dev/mapper/lun"}]},
    ]
    assert list(made[0]["disk"][0])[-1] == "target"


def _real(path: Path) -> Path | None:
    """Where a link leads; the path itself, or None for one that leads to nothing."""
    found = path.resolve()
    return found if found.exists() or not path.is_symlink() else None


async def test_what_arrives_keeps_its_path_for_xl(tmp_path: Path) -> None:
    """xl makes a rebooted domain again from the path it was given, whatever became of the name."""
    options = {"source": str(tmp_path / "root.img"), "format": "raw", "placement": "copy"}
    entry = DeviceEntry("root", "blk", options)
    definition = Definition("web1", "u", "xen", 2**28, devices=(entry,))
    here = Host("b", tmp_path / "state")
    arriving = Domain(
        definition,
        here,
        End.DESTINATION,
        "root",
        movement=Movement.MIGRATE,
        migration="m1",
        ticket={"size_bytes": 4096},
    )
    driver = Blk("root", options)
    (disk,) = driver.xl_config(arriving)["disk"]
    path = Path(disk["target"])
    await run(driver.open(arriving))
    assert _real(path) == tmp_path / ".root.img.m1.partial"
    await run(driver.finish(arriving))
    assert _real(path) == tmp_path / "root.img"
    settled = Domain(definition, here, device="root")
    assert driver.xl_config(settled)["disk"] == [disk]
    await run(driver.close(settled))
    assert _real(path) == path
    await run(driver.open(settled))
    assert _real(path) == tmp_path / "root.img"
