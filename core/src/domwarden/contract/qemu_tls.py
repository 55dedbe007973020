"""The objects by which a QEMU speaks TLS with the files of its host."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from domwarden.contract.domain import Host
from domwarden.contract.errors import EngineError, OutcomeUnknownError

#: Runs one QMP command with its arguments.
Execute = Callable[[str, Mapping[str, Any]], Awaitable[Any]]


async def qemu_serves(execute: Execute, host: Host, name: str, *peers: str) -> Mapping[str, str]:
    """Make the objects of an end that is connected to, which lets in those hosts alone.

    Returns the arguments ``tls-creds`` and ``tls-authz`` of QEMU's commands.  Objects that an
    earlier attempt left under that name are replaced.  Raises EngineError.
    """
    credentials = await _credentials(execute, host, name, "server")
    known = f"{name}.peer"
    await _make(execute, known, "authz-list", {"policy": "deny", "rules": subject_rules(*peers)})
    return {"tls-creds": credentials, "tls-authz": known}


async def qemu_connects(execute: Execute, host: Host, name: str, peer: str) -> Mapping[str, str]:
    """Make the objects of an end that connects, and sends nothing to anybody but that peer.

    Returns the arguments ``tls-creds`` and ``tls-hostname`` of QEMU's commands.
    """
    return {
        "tls-creds": await _credentials(execute, host, name, "client"),
        "tls-hostname": peer,
    }


def subject_rules(*peers: str) -> list[dict[str, str]]:
    """Return which subjects are those hosts': the ones with such a name as the common name.

    QEMU compares a client's subject as one text (https://www.qemu.org/docs/master/system/authz.html)
    in which a comma inside a value is escaped: no subject with an escape is let in.
    """
    forms = ("CN={}", "CN={},*", "*,CN={}", "*,CN={},*")
    known = [form.format(peer) for peer in peers for form in forms]
    return [
        {"match": "*\\*", "format": "glob", "policy": "deny"},
        *({"match": match, "format": "glob", "policy": "allow"} for match in known),
    ]


async def _credentials(execute: Execute, host: Host, name: str, endpoint: str) -> str:
    files = await asyncio.to_thread(_directory, host, endpoint)
    try:
        # QEMU reads them now, and never again.
        await _make(
            execute,
            name,
            "tls-creds-x509",
            {"dir": str(files), "endpoint": endpoint, "verify-peer": True},
        )
    finally:
        await asyncio.to_thread(shutil.rmtree, files, ignore_errors=True)
    return name


async def _make(execute: Execute, name: str, kind: str, properties: Mapping[str, Any]) -> None:
    try:
        await execute("object-del", {"id": name})
    except OutcomeUnknownError:
        raise
    except EngineError:
        pass  # there is none
    await execute("object-add", {"qom-type": kind, "id": name, **properties})


def _directory(host: Host, endpoint: str) -> Path:
    """Show a host's files under the names that QEMU wants, for as long as it reads them."""
    files = host.credentials
    host.state_directory.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix="tls-", dir=host.state_directory))
    try:
        for name, path in _named(endpoint, files.authority, files.certificate, files.key):
            (made / name).symlink_to(path.absolute())
    except OSError as error:
        with contextlib.suppress(OSError):
            shutil.rmtree(made)
        raise EngineError(f"{made}: {error.strerror}") from error
    return made


def _named(endpoint: str, authority: Path, certificate: Path, key: Path) -> Iterator[Any]:
    yield "ca-cert.pem", authority
    yield f"{endpoint}-cert.pem", certificate
    yield f"{endpoint}-key.pem", key
