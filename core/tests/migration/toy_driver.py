"""A driver process over the toy hypervisors, whose directory the environment names."""

import dataclasses
import os
import sys
from pathlib import Path

from domwarden.migration import Hub, Observer
from domwarden.migration.crash import from_environment
from domwarden.migration.driver import main
from domwarden.migration.request import Request

sys.path.insert(0, str(Path(__file__).parents[1]))

from migration.world import World


def make_hub(request: Request, observer: Observer) -> Hub:
    world = World(Path(os.environ["TOY_WORLD"]))
    ports = dataclasses.replace(world.ports(), at=from_environment())
    return Hub(request.host_file, ports, observer=observer)


if __name__ == "__main__":
    sys.exit(main(make_hub))
