"""A disk in an xl configuration."""

from pathlib import Path

from domwarden.contract import Definition, DeviceEntry, Domain, Host
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
