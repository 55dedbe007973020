"""Two real Xen hosts under QEMU: how they are built, booted and spoken to."""
