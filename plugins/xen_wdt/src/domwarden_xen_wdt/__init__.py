"""The watchdog inside the hypervisor."""
