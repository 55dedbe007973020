"""The engine that runs domains under QEMU."""
