"""What a person is told of an expected failure."""

from __future__ import annotations

import click

from domwarden.contract import ConfigError, DomwardenError, RefusedError


def tell(error: Exception) -> bool:
    """Tell it on standard error; returns whether it was expected."""
    if isinstance(error, RefusedError):
        from domwarden.cli.output import refusals  # here, because it loads rich

        refusals(refusal.as_json() for refusal in error.refusals)
    elif isinstance(error, ConfigError):
        click.echo(str(error), err=True)
    elif isinstance(error, DomwardenError):
        click.echo(f"domwarden: {error.message}", err=True)
        if error.hint:
            click.echo(f"  hint: {error.hint}", err=True)
    else:
        return False
    return True
