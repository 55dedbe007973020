"""The embedded hypervisor: the default engine, the test double, the simulator."""

from domwarden.embedded.clock import ManualClock, RealClock
from domwarden.embedded.engine import EmbeddedEngine
from domwarden.embedded.hypervisor import Hypervisor

__all__ = ["EmbeddedEngine", "Hypervisor", "ManualClock", "RealClock"]
