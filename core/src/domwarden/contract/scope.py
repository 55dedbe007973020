"""Lets a program that outlives its starter outlive the starter's service, too."""

from __future__ import annotations

import os
from collections.abc import Sequence

#: ``systemd`` in a service's unit: what it starts for others gets a scope of its own.
ENVIRONMENT = "DOMWARDEN_SCOPES"
SLICE = "domwarden.slice"


def in_scope(command: Sequence[str], what: str) -> list[str]:
    """Return the command that runs it in a systemd scope, where the environment asks for that.

    ``systemd-run --scope`` becomes the program itself, in the same process with the same
    descriptors (systemd-run(1)), so that whoever starts it sees no difference. ``what`` tells a
    person what is in the scope.
    """
    if os.environ.get(ENVIRONMENT) != "systemd":
        return list(command)
    options = ["--scope", "--quiet", "--collect", f"--slice={SLICE}", f"--description={what}"]
    return ["systemd-run", *options, "--", *command]
