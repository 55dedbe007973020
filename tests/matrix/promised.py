"""What each distribution promises to bring: entry-point group, name, and class."""

PROMISED: dict[str, dict[str, dict[str, str]]] = {
    "domwarden": {
        "console_scripts": {"domwarden": "domwarden.cli:main"},
        "domwarden.engines": {"embedded": "domwarden.embedded:EmbeddedEngine"},
        "domwarden.host_watchdogs": {"linux": "domwarden.guard.linux:LinuxWatchdog"},
        "pytest11": {"domwarden": "domwarden.testing.plugin"},
    },
    "domwarden-qemu": {"domwarden.engines": {"qemu": "domwarden_qemu:QemuEngine"}},
    "domwarden-xen": {"domwarden.engines": {"xen": "domwarden_xen.engine:XenEngine"}},
    "domwarden-hvm-wdt": {
        "domwarden.watchdogs": {
            "i6300esb": "domwarden_hvm_wdt:I6300esb",
            "ib700": "domwarden_hvm_wdt:Ib700",
        }
    },
    "domwarden-xen-wdt": {
        "domwarden.watchdogs": {"xen_wdt": "domwarden_xen_wdt:XenWdt"},
        "domwarden.host_watchdogs": {"xen": "domwarden_xen_wdt.host:XenHostWatchdog"},
    },
    "domwarden-blk": {"domwarden.devices": {"blk": "domwarden_blk:Blk"}},
    "domwarden-net": {"domwarden.devices": {"net": "domwarden_net:Net"}},
    "domwarden-tpm-migrate": {"domwarden.devices": {"tpm": "domwarden_tpm_migrate:Tpm"}},
    "domwarden-usb": {"domwarden.devices": {"usb": "domwarden_usb:Usb"}},
    "domwarden-pci": {"domwarden.devices": {"pci": "domwarden_pci:Pci"}},
    "floating-licence": {"domwarden.devices": {"licence": "floating_licence:Licence"}},
}
