"""The entry point: turns every expected error into one line and an exit code."""

from __future__ import annotations

import gc
import sys

import click

from domwarden.cli.verbs import Verbs


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
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output left; nothing is wrong
        status = 1
    except Exception as error:
        from domwarden.cli.failures import tell  # here, because it loads the contract

        if not tell(error):
            raise
        status = 1
    gc.freeze()  # else the interpreter looks through all of it once more before it ends
    sys.exit(status)
