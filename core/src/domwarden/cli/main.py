"""The entry point: turns every expected error into one line and an exit code."""

from __future__ import annotations

import sys

import click

from domwarden.cli.verbs import Verbs
from domwarden.contract.errors import ConfigError, DomwardenError, RefusedError


@click.group(
    cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="domwarden", prog_name="domwarden")
def domwarden() -> None:
    """Guard virtual machines with watchdogs outside them, and move them whole."""


def main() -> None:
    """Run the command line; exits 0, 1 for an expected failure, 2 for wrong usage."""
    try:
        status = domwarden.main(standalone_mode=False)
    except click.UsageError as error:
        error.show()
        status = 2
    except click.ClickException as error:
        error.show()
        status = 1
    except click.Abort:
        click.echo("interrupted", err=True)
        status = 130
    except ConfigError as error:
        click.echo(str(error), err=True)
        status = 1
    except RefusedError as error:
        from domwarden.cli.output import refusals  # here, because it loads rich

        refusals(error.refusals)
        status = 1
    except DomwardenError as error:
        click.echo(f"domwarden: {error.message}", err=True)
        if error.hint:
            click.echo(f"  hint: {error.hint}", err=True)
        status = 1
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output left; nothing is wrong
        status = 1
    sys.exit(status)
