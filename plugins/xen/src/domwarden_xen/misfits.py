"""What no Xen could start of a domain, told from its file alone; pure."""

from __future__ import annotations

from collections.abc import Iterator

from domwarden.contract import Action, Definition, EngineError, Misfit

from .schema import Options

#: What Xen leaves to us after an expiry, where the domain must wake again to get it; a ``pv`` guest
#: that was shut down by its watchdog never wakes (xc_domain_resume needs it to have suspended).
WAKING = frozenset({Action.PAUSE, Action.NMI, Action.SHUTDOWN, Action.NOTIFY})


def of(definition: Definition) -> Iterator[Misfit]:
    """Yield everything that cannot be; each is a mistake in the file, on any host."""
    options = Options(**definition.options)
    if definition.memory_bytes < 2**20 or definition.memory_bytes % 2**20:
        what = f"Xen gives memory in whole MiB, not {definition.memory_bytes} bytes"
        yield Misfit(("memory",), what, "write it in MiB")
    if options.stub_domain and options.type != "hvm":
        what = f"a {options.type} guest has no device model that a domain of its own could run"
        yield Misfit(("stub_domain",), what, "type: hvm, or no stub_domain")
    if options.type != "hvm" and not definition.boot.get("kernel"):
        what = f"a {options.type} guest has no firmware, so it needs boot.kernel"
        yield Misfit(("boot", "kernel"), what, "name a kernel, or type: hvm")
    watchdog = definition.watchdog
    if watchdog is not None and options.type == "pv" and watchdog.action in WAKING:
        what = f"a pv guest whose watchdog expired cannot go on, so {watchdog.action} is impossible"
        yield Misfit(("watchdog", "action"), what, "use reset, poweroff or dump, or type: pvh")


def refuse(definition: Definition) -> None:
    """Raise EngineError with everything that cannot be, for a definition that came from no file."""
    found = list(of(definition))
    if found:
        told = "; ".join(f"{'.'.join(each.path)}: {each.what}" for each in found)
        raise EngineError(f"{definition.name}: {told}", hint="; ".join(e.hint for e in found))
