"""The QEMU engine of domwarden."""

from domwarden_qemu.engine import QemuEngine

__all__ = ["QemuEngine"]
