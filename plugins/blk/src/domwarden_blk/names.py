"""Where a disk's image lies on a host, and the names of what a migration makes beside it."""

from __future__ import annotations

import re
from pathlib import Path

from domwarden.contract import Domain, Host, PermanentError

_MIGRATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)


def on_host(source: str, host: Host) -> Path:
    """Return the image's path on a host: the longest prefix in its ``directories`` is replaced."""
    path = Path(source)
    directories = host.settings("blk").get("directories", {})
    for here in sorted(directories, key=len, reverse=True):
        if path.is_relative_to(here):
            return Path(directories[here]) / path.relative_to(here)
    return path


def migration_of(domain: Domain) -> str:
    """Return the migration's id, which becomes part of file names; raises PermanentError."""
    if not _MIGRATION.fullmatch(domain.migration):
        raise PermanentError(f"'{domain.migration}' is no migration's id: it names no file")
    return domain.migration


def partial(image: Path, migration: str) -> Path:
    """Return the name under which a mirror's target is made."""
    return image.with_name(f".{image.name}.{migration}.partial")


def kept(image: Path, migration: str) -> Path:
    """Return the name under which the source keeps an image that moved away.

    It is not the domain's own name, so nothing starts it by accident.
    """
    return image.with_name(f"{image.name}.moved-{migration}")


def probe(image: Path, migration: str) -> Path:
    """Return the name of the file by which both ends know that they see one directory."""
    return image.with_name(f".{image.name}.{migration}.probe")


def export_socket(domain: Domain) -> Path:
    """Return the socket of the NBD server in the domain's process on this host."""
    return domain.directory / "nbd.sock"


def export_port(domain: Domain) -> Path:
    """Return the file that tells the port of the NBD server in the domain's process, if any."""
    return domain.directory / "nbd.port"


def served_socket(domain: Domain) -> Path:
    """Return the socket of our own NBD server for one disk on this host."""
    return domain.directory / f"{domain.device}.nbd"


def sockets(domain: Domain) -> tuple[Path, Path]:
    """Return every socket that a disk on its way may be served on."""
    return export_socket(domain), served_socket(domain)


def sums(domain: Domain) -> Path:
    """Return the file in which a copy's source remembers what it has sent."""
    return domain.directory / f"{domain.device}.{migration_of(domain)}.sums"


def leftovers(image: Path) -> list[Path]:
    """Return the mirror targets beside an image, of whatever migration."""
    start = f".{image.name}."
    try:
        names = sorted(entry.name for entry in image.parent.iterdir())
    except OSError:
        return []
    return [image.with_name(n) for n in names if n.startswith(start) and n.endswith(".partial")]
