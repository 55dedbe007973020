"""Network interfaces of this host, by ip(8)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import Sequence
from typing import Any

from domwarden.contract import PermanentError, TransientError

TIMEOUT_SECONDS = 10.0
#: Where Debian keeps it; a service's PATH may lack the directory.
_FALLBACK = "/usr/sbin/ip"


async def make_tap(name: str, bridge: str) -> None:
    """Make the tap, join it to the bridge, set it up; what is already so stays so.

    Raises PermanentError with ip's own words, TransientError when ip does not end in time.
    """
    if await find(name) is None:
        await _change("tuntap", "add", "dev", name, "mode", "tap")
    await _change("link", "set", "dev", name, "master", bridge)
    await _change("link", "set", "dev", name, "up")


async def delete(name: str) -> None:
    """Delete an interface; idempotent."""
    if await find(name) is None:
        return
    try:
        await _change("link", "delete", "dev", name)
    except PermanentError:
        if await find(name) is not None:
            raise


async def is_bridge(name: str) -> bool | None:
    """Say whether an interface is a bridge; None: there is no such interface."""
    link = await find(name)
    return None if link is None else link.get("linkinfo", {}).get("info_kind") == "bridge"


async def find(name: str) -> dict[str, Any] | None:
    """Return what ip says of an interface, or None where there is none."""
    code, out, err = await _ip("-json", "-details", "link", "show", "dev", name)
    if code == 0:
        links = json.loads(out)
        return dict(links[0]) if links else None
    if "does not exist" in err:
        return None
    raise PermanentError(f"ip link show dev {name}: {_last(err)}")


async def _change(*arguments: str) -> None:
    code, _, err = await _ip(*arguments)
    if code != 0:
        hint = "domwarden must run as root, or with CAP_NET_ADMIN" if "permitted" in err else ""
        raise PermanentError(f"ip {' '.join(arguments)}: {_last(err)}", hint=hint)


async def _ip(*arguments: str) -> tuple[int, str, str]:
    binary = shutil.which("ip") or _FALLBACK
    try:
        process = await asyncio.create_subprocess_exec(
            binary,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"LC_ALL": "C"},
        )
    except FileNotFoundError:
        raise PermanentError("the program ip is not here", hint="install iproute2") from None
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            out, err = await process.communicate()
    except TimeoutError:
        message = f"ip {_words(arguments)} did not end in {TIMEOUT_SECONDS:g} s"
        raise TransientError(message) from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode(errors="replace"), err.decode(errors="replace")


def _words(arguments: Sequence[str]) -> str:
    return " ".join(arguments)


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "failed without a word"
