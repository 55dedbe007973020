"""The guard of this machine: kicks its watchdogs as long as its health checks pass."""
