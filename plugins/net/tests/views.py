"""Views of a domain, as hooks get them."""

import dataclasses
from pathlib import Path
from typing import Any

from domwarden.contract import Definition, Domain, End, Host

UUID = "6f9619ff-8b86-d011-b42d-00cf4fc964ff"


def view(
    end: End = End.SOURCE,
    *,
    host: str = "a",
    engine: str = "qemu",
    bridges: dict[str, str] | None = None,
    **more: Any,
) -> Domain:
    settings = {"net": {"bridges": bridges}} if bridges else {}
    definition = Definition("web1", UUID, engine, 2**28)
    here = Host(host, Path(f"/var/lib/domwarden/{host}"), settings)
    return dataclasses.replace(Domain(definition, here, end, device="eth0"), **more)
