"""The list of verbs; a verb's module is imported only when it is used."""

from __future__ import annotations

import importlib

import click

#: Verb -> what `domwarden --help` says about it, in the order in which people meet them.
VERBS = {
    "check": "Check domain and host files; name every problem at once.",
    "schema": "Print the JSON Schema of the domain file, for editors.",
    "plugins": "List every installed driver.",
    "start": "Start a domain from its file.",
    "stop": "Stop a domain.",
    "status": "Show domains, their watchdogs and unfinished work.",
    "watch": "Show watchdog expiries as they happen.",
    "plan": "Say everything that would block a migration; change nothing.",
    "migrate": "Move a running domain to another host.",
    "evacuate": "Move every domain off this host.",
    "save": "Save a running domain to a directory.",
    "restore": "Bring a saved domain back.",
    "serve": "Answer this host's API on a Unix socket.",
    "guard": "Kick this machine's watchdogs as long as it is healthy.",
    "pki": "Make the certificates with which hosts know each other.",
    "peer": "Answer another host's domwarden; it starts this by itself.",
    "recover": "Settle what an earlier run left unfinished.",
    "reclaim": "Take a domain back from a host that is gone for good.",
    "demo": "Guard, hang and move a domain, and draw what happened.",
}


class Verbs(click.Group):
    """A group whose commands are found by name in ``domwarden.cli``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return every verb."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb's module and return its ``command``."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"domwarden.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb, or fail with the nearest one."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], VERBS, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"one of: {', '.join(VERBS)}"
            ctx.fail(f"no verb {args[0]!r}: {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs without importing them."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))
