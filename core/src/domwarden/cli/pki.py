"""``domwarden pki``: an authority of one's own, and certificates for hosts."""

from __future__ import annotations

import datetime
from pathlib import Path
from types import ModuleType

import click

from domwarden.cli import output
from domwarden.cli.options import json_option

directory_option = click.option(
    "--directory",
    type=click.Path(path_type=Path),
    default=Path("/etc/domwarden/pki"),
    show_default=True,
    help="Where the files are.",
)


@click.group
def command() -> None:
    """Make the certificates with which hosts know each other."""


@command.command
@directory_option
@json_option
def init(directory: Path, as_json: bool) -> None:
    """Make an authority, on the one host that keeps its key."""
    made = _pki().Directory(directory).create_authority(_now())
    if as_json:
        output.as_json({"certificate": str(made.certificate), "key": str(made.key)})
        return
    click.echo(f"authority: {made.certificate}, for every host; {made.key} stays here")


@command.command
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=730,
    show_default=True,
    help="How long it is valid.",
)
@click.option("--renew", is_flag=True, help="Another certificate for the key that is there.")
@directory_option
@json_option
def host(names: tuple[str, ...], days: int, renew: bool, directory: Path, as_json: bool) -> None:
    """Make a key and a certificate for each host NAME, as peers' host files call it."""
    pki = _pki().Directory(directory)
    make = pki.renew_host if renew else pki.create_host
    made = {name: make(name, _now(), days) for name in names}
    if as_json:
        output.as_json({n: {"certificate": str(m.certificate), "key": str(m.key)}
                        for n, m in made.items()})  # fmt: skip
        return
    for name, files in made.items():
        click.echo(f"{name}: {files.certificate} {files.key}")


@command.command
@directory_option
@json_option
def show(directory: Path, as_json: bool) -> None:
    """Show each certificate, whom it names, and how long it is valid."""
    found = _pki().known(directory, _now())
    if as_json:
        output.as_json([each.as_json() for each in found])
        return
    rows = [
        (
            each.file.name,
            ", ".join(each.names) or "-",
            each.standing,
            f"{each.not_after:%Y-%m-%d}",
            "here" if each.has_key else "-",
            each.fingerprint[:16],
        )
        for each in found
    ]
    output.table(("file", "names", "standing", "until", "key", "sha256"), rows)


def _pki() -> ModuleType:
    try:
        import domwarden.pki  # here, because it loads a large library
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "cryptography":
            raise
        raise click.ClickException(
            "certificates are made by the library cryptography, which is not installed\n"
            "  hint: pip install 'domwarden[pki]', on the host that signs"
        ) from error
    return domwarden.pki


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
