"""The emulated hardware watchdog cards."""
