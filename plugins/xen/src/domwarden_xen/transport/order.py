"""How a shim is started."""

from __future__ import annotations

#: The environment variable with the shim's order, as JSON.
VARIABLE = "DOMWARDEN_XEN_TRANSPORT"
#: The environment variable with the Python that runs it.
PYTHON = "DOMWARDEN_XEN_PYTHON"
#: What ``xl migrate`` gives to a shell as its transport; a constant, all that varies is in the
#: environment.
COMMAND = f'exec "${PYTHON}" -P -m domwarden_xen.transport'
