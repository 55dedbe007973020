"""domwarden: watchdogs outside the guest, and migration with every external device."""
