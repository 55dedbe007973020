"""The devices of one domain, behind a typed face: the one file where ``pm.hook`` appears."""

from __future__ import annotations

import dataclasses
import inspect
import types
from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar, TypeVar, cast

import pluggy

from domwarden.contract import (
    Definition,
    DeviceHooks,
    Domain,
    DriverError,
    Engine,
    Expiry,
    Host,
    Job,
    Refusal,
    Step,
    Ticket,
    hookspec,
)
from domwarden.plugins.lines import one_line
from domwarden.plugins.loading import Driver, load
from domwarden.plugins.offers import Kind

#: The YAML id under which the domain's watchdog is in the room.
WATCHDOG_ID = "watchdog"

AnswerT = TypeVar("AnswerT")

_NOTHING: Mapping[str, Any] = types.MappingProxyType({})
_JOB = (Job,)
_STEP: tuple[type[Job | Refusal], ...] = (Job, Refusal)


@dataclasses.dataclass(frozen=True, slots=True)
class _Implementation:
    """One device's function for one hook."""

    device: str
    function: Callable[..., Any]
    argnames: tuple[str, ...]


class _Manager(pluggy.PluginManager):
    """A manager that looks for marks once, and not on what every object has."""

    _specified: ClassVar[dict[tuple[object, str], pluggy.HookspecOpts | None]] = {}

    def parse_hookspec_opts(
        self, module_or_class: type | types.ModuleType, name: str
    ) -> pluggy.HookspecOpts | None:
        """Remember what is the same in every room: else a look at a domain is mostly this."""
        key = (module_or_class, name)
        if key not in self._specified:
            self._specified[key] = super().parse_hookspec_opts(module_or_class, name)
        return self._specified[key]

    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:
        """Pass names by that no hook can have: looking at each costs most of making a room."""
        if name.startswith("__"):
            return None
        return super().parse_hookimpl_opts(plugin, name)


class DomainRoom:
    """One domain's own pluggy manager, and the typed face over it.

    Every method returns the answers that are not None by YAML id: devices in file order, then the
    watchdog.  A hook that raises or answers nonsense is a bug of its distribution: a DriverError
    stands in its place, and the other devices' answers are there all the same.  ``domain`` is a
    base view; each device gets its own copy with its id, the last ticket of its other end from
    ``tickets`` and its own last one from ``given``.  ``devices`` limits who is asked.
    """

    def __init__(
        self, domain: Domain, devices: Mapping[str, tuple[Driver, object]], hooks: type | None
    ) -> None:
        self.domain = domain
        self.drivers: Mapping[str, Driver] = {name: pair[0] for name, pair in devices.items()}
        self.devices: Mapping[str, object] = {name: pair[1] for name, pair in devices.items()}
        self._implementations = _register(devices, hooks)

    def seen_as(self, domain: Domain) -> DomainRoom:
        """Return the same room with another view of its domain as the one that ``ask`` supplies."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, domain=domain)
        return other

    def implementing(self, hook: str) -> list[str]:
        """Return the devices that have a hook, in file order; one may still answer nothing."""
        return [implementation.device for implementation in self._implementations.get(hook, ())]

    def open(
        self,
        domain: Domain,
        *,
        tickets: Mapping[str, Ticket | None] = _NOTHING,
        given: Mapping[str, Ticket | None] = _NOTHING,
        devices: Collection[str] | None = None,
    ) -> dict[str, Job | DriverError]:
        """Ask what must be made before the hypervisor's process exists."""
        return self._call("open", _JOB, domain, _NOTHING, tickets, given, devices)

    def close(
        self,
        domain: Domain,
        *,
        tickets: Mapping[str, Ticket | None] = _NOTHING,
        given: Mapping[str, Ticket | None] = _NOTHING,
        devices: Collection[str] | None = None,
    ) -> dict[str, Job | DriverError]:
        """Ask what must be undone after the hypervisor's process is gone."""
        return self._call("close", _JOB, domain, _NOTHING, tickets, given, devices)

    def migrate(
        self,
        domain: Domain,
        step: Step,
        *,
        tickets: Mapping[str, Ticket | None] = _NOTHING,
        given: Mapping[str, Ticket | None] = _NOTHING,
        devices: Collection[str] | None = None,
    ) -> dict[str, Job | Refusal | DriverError]:
        """Ask the source's devices what they do at a step."""
        more = {"step": step}
        return self._call("migrate", _STEP, domain, more, tickets, given, devices)

    def receive(
        self,
        domain: Domain,
        step: Step,
        *,
        tickets: Mapping[str, Ticket | None] = _NOTHING,
        given: Mapping[str, Ticket | None] = _NOTHING,
        devices: Collection[str] | None = None,
    ) -> dict[str, Job | Refusal | DriverError]:
        """Ask the destination's devices what they do at a step."""
        more = {"step": step}
        return self._call("receive", _STEP, domain, more, tickets, given, devices)

    def recover(
        self,
        domain: Domain,
        step: Step,
        *,
        tickets: Mapping[str, Ticket | None] = _NOTHING,
        given: Mapping[str, Ticket | None] = _NOTHING,
        devices: Collection[str] | None = None,
    ) -> dict[str, Job | DriverError]:
        """Ask how to undo what was begun up to a step."""
        return self._call("recover", _JOB, domain, {"step": step}, tickets, given, devices)

    def finish(
        self,
        domain: Domain,
        *,
        tickets: Mapping[str, Ticket | None] = _NOTHING,
        given: Mapping[str, Ticket | None] = _NOTHING,
        devices: Collection[str] | None = None,
    ) -> dict[str, Job | DriverError]:
        """Ask what to do now that the domain runs over there."""
        return self._call("finish", _JOB, domain, _NOTHING, tickets, given, devices)

    def clears(self, domain: Domain, blocker: Refusal) -> dict[str, bool | DriverError]:
        """Ask which devices' PREPARE will remove a blocker that the engine named."""
        return self._call("clears", (bool,), domain, {"blocker": blocker})

    def watchdog_fired(self, domain: Domain, expiry: Expiry) -> dict[str, Job | DriverError]:
        """Tell every device that the domain's watchdog expired."""
        return self._call("watchdog_fired", _JOB, domain, {"expiry": expiry})

    def describe(self, domain: Domain) -> dict[str, Mapping[str, Any] | DriverError]:
        """Ask for facts for status, page and metrics."""
        return self._call("describe", (Mapping,), domain, _NOTHING)

    def ask(self, hook: str, **arguments: Any) -> dict[str, Any]:
        """Call an engine's own hook with the room's view of the domain, or with ``domain=``.

        Raises DriverError when any device fails: an engine cannot do with part of a domain.
        """
        domain = arguments.pop("domain", self.domain)
        answers = self._call(hook, (object,), domain, arguments)
        for answer in answers.values():
            if isinstance(answer, DriverError):
                raise answer
        return answers

    def _call(
        self,
        hook: str,
        expected: tuple[type[AnswerT], ...],
        domain: Domain,
        arguments: Mapping[str, Any],
        tickets: Mapping[str, Ticket | None] = _NOTHING,
        given: Mapping[str, Ticket | None] = _NOTHING,
        devices: Collection[str] | None = None,
    ) -> dict[str, AnswerT | DriverError]:
        answers: dict[str, AnswerT | DriverError] = {}
        passed = dict(arguments)
        for implementation in self._implementations.get(hook, ()):
            device = implementation.device
            if devices is not None and device not in devices:
                continue
            passed["domain"] = _view(domain, device, tickets.get(device), given.get(device))
            try:
                answer = implementation.function(*[passed[n] for n in implementation.argnames])
            except Exception as error:  # noqa: BLE001 - a stranger's bug must not silence the others
                answers[device] = self._fault(device, hook, f"raised {one_line(error)}", error)
                continue
            if answer is None:
                continue
            if isinstance(answer, expected) and not hasattr(answer, "__await__"):
                answers[device] = answer
            else:
                answers[device] = self._nonsense(device, hook, answer, expected)
        return answers

    def _nonsense(
        self, device: str, hook: str, answer: object, expected: tuple[type, ...]
    ) -> DriverError:
        if inspect.iscoroutine(answer):
            answer.close()
        wanted = " or ".join(kind.__name__ for kind in expected)
        if hasattr(answer, "__await__"):
            return self._fault(device, hook, "returned something to await; return a Job instead")
        return self._fault(device, hook, f"returned {type(answer).__name__}, not {wanted} or None")

    def _fault(
        self, device: str, hook: str, what: str, cause: Exception | None = None
    ) -> DriverError:
        driver = self.drivers[device]
        fault = _driver_error(driver, device, f"hook {hook} {what}")
        fault.__cause__ = cause
        return fault


def open_room(definition: Definition, host: Host, engine: Engine) -> DomainRoom:
    """Load the domain's drivers and put one object of each device into a room of its own.

    Raises DriverError when a driver is missing, breaks the contract, or refuses its options.
    """
    wanted = [(Kind.DEVICE, entry.driver, entry.id, entry.options) for entry in definition.devices]
    if definition.watchdog is not None:
        watchdog = definition.watchdog
        wanted.append((Kind.WATCHDOG, watchdog.driver, WATCHDOG_ID, watchdog.options))
    devices: dict[str, tuple[Driver, object]] = {}
    for kind, name, device, options in wanted:
        driver = load(kind, name)
        try:
            devices[device] = (driver, driver.cls(device, options))
        except Exception as error:
            raise _driver_error(driver, device, f"cannot be made: {one_line(error)}") from error
    domain = Domain(
        definition,
        host,
        controls=lambda protocol: engine.control(definition.name, protocol),
    )
    return DomainRoom(domain, devices, engine.HOOKS)


def _register(
    devices: Mapping[str, tuple[Driver, object]], hooks: type | None
) -> dict[str, list[_Implementation]]:
    """Register each object under its YAML id, and index what it implements by hook.

    pluggy's own lists of results name no plugin and drop None, so the functions are called one by
    one; pluggy's registration still checks their marks and arguments.
    """
    manager = _Manager(hookspec.project_name)
    manager.add_hookspecs(DeviceHooks)
    if hooks is not None:
        manager.add_hookspecs(hooks)
    for device, (driver, instance) in devices.items():
        try:
            manager.register(instance, name=device)
        except (ValueError, pluggy.PluginValidationError) as error:
            raise _driver_error(driver, device, one_line(error)) from error
    order = {device: position for position, device in enumerate(devices)}
    index: dict[str, list[_Implementation]] = {}
    for name, caller in vars(manager.hook).items():
        found = [
            _Implementation(impl.plugin_name, impl.function, tuple(impl.argnames))
            for impl in cast("pluggy.HookCaller", caller).get_hookimpls()
        ]
        index[name] = sorted(found, key=lambda implementation: order[implementation.device])
    return index


def _view(domain: Domain, device: str, ticket: Ticket | None, given: Ticket | None) -> Domain:
    """Copy the base view for one device (five times as fast as ``dataclasses.replace``)."""
    view = object.__new__(Domain)
    view.__dict__.update(domain.__dict__, device=device, ticket=ticket, given=given)
    return view


def _driver_error(driver: Driver, device: str, what: str) -> DriverError:
    return DriverError(
        f"{driver.distribution} {driver.version}: {driver.kind} driver '{driver.name}',"
        f" device '{device}': {what}",
        distribution=driver.distribution,
        version=driver.version,
    )
