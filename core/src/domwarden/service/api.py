"""The table of every route: what routes, validates and is documented."""

from __future__ import annotations

from domwarden.service import bodies, domains, operating, resources
from domwarden.service.asking import Asked
from domwarden.service.host import HostService
from domwarden.service.routes import Answer, Route

VERSION = "1"

_ACTING = ("conflict", "refused", "impossible", "broken", "driver", "engine", "outcome-unknown")


async def document(_service: HostService, _asked: Asked) -> Answer:
    """Return this table as an OpenAPI document."""
    from domwarden.service.openapi import openapi

    return Answer(openapi(ROUTES))


ROUTES: tuple[Route, ...] = (
    Route(
        "GET", "/v1/health", "Say that the service and its journal answer.",
        resources.health, answers="Health",
    ),
    Route("GET", "/v1/openapi.json", "Describe the API.", document),
    Route(
        "GET", "/v1/plugins", "List every installed driver.",
        resources.plugins, answers="Driver", many=True,
    ),
    Route(
        "GET", "/v1/domains", "Look at every domain that was ever here.",
        domains.every, answers="Domain", many=True,
    ),
    Route(
        "POST", "/v1/domains", "Start a domain from its file.",
        domains.start, body=bodies.start, status=201, answers="Domain",
        codes=("wrong-file", *_ACTING),
    ),
    Route(
        "POST", "/v1/status", "Settle what is unfinished, then look at one domain, or at all.",
        domains.status, body=bodies.status, answers="Domain", many=True,
    ),
    Route(
        "GET", "/v1/domains/{domain}", "Look at one domain.",
        domains.one, answers="Domain", codes=("unknown-domain",),
    ),
    Route(
        "POST", "/v1/domains/{domain}/stop", "Stop a domain.",
        domains.stop, body=bodies.stop, answers="Stopped", codes=("unknown-domain", *_ACTING),
    ),
    Route(
        "GET", "/v1/domains/{domain}/plan", "Say everything that would block a migration.",
        domains.plan, query=bodies.plan, answers="Plan", codes=("unknown-domain", *_ACTING),
    ),
    Route(
        "GET", "/v1/domains/{domain}/expiries", "Return the history of a domain's watchdog.",
        domains.fired, answers="Expiry", many=True, codes=("unknown-domain",),
    ),
    Route(
        "GET", "/v1/domains/{domain}/events",
        "Follow a domain: `expiry` of its watchdog, `moment` of its moves.",
        follow=domains.follow, codes=("unknown-domain",),
    ),
    Route("GET", "/v1/events", "Follow all domains.", follow=domains.follow),
    Route(
        "GET", "/v1/migrations", "List the moves that this run began, and all unfinished ones.",
        resources.every, answers="Move", many=True,
    ),
    Route(
        "POST", "/v1/migrations", "Begin to take a domain to a peer.",
        resources.migrate, body=bodies.migrate, status=202, answers="Move",
        codes=("unknown-domain", *_ACTING),
    ),
    Route(
        "POST", "/v1/saves", "Begin to release a domain to a directory.",
        resources.save, body=bodies.save, status=202, answers="Move",
        codes=("unknown-domain", *_ACTING),
    ),
    Route(
        "POST", "/v1/restores", "Begin to take a saved domain back.",
        resources.restore, body=bodies.restore, status=202, answers="Move", codes=_ACTING,
    ),
    Route(
        "GET", "/v1/migrations/{migration}", "Look at one move.",
        resources.one, answers="Move", codes=("unknown-migration",),
    ),
    Route(
        "DELETE", "/v1/migrations/{migration}", "Cancel a move that is not released yet.",
        resources.give_up, status=202, answers="Move", codes=("unknown-migration", "over"),
    ),
    Route(
        "GET", "/v1/migrations/{migration}/events",
        "Follow a move: each `moment`, then the `end` with what became of it.",
        follow=resources.follow, codes=("unknown-migration",),
    ),
    Route(
        "POST", "/v1/domains/{domain}/reclaimable", "Say what a reclaim would do, or why not.",
        operating.look, body=bodies.reclaimable, answers="Reclaimable",
        codes=("unknown-domain", *_ACTING),
    ),
    Route(
        "POST", "/v1/reclaims", "Begin to take a domain back from a host that is gone for good.",
        operating.reclaim, body=bodies.reclaim, status=202, answers="Operation",
        codes=("unknown-domain",),
    ),
    Route(
        "POST", "/v1/evacuations", "Begin to move everything off this host.",
        operating.evacuate, body=bodies.evacuate, status=202, answers="Operation",
        codes=("conflict",),
    ),
    Route(
        "POST", "/v1/recoveries", "Begin to settle what is unfinished.",
        operating.recover, body=bodies.nothing, status=202, answers="Operation",
    ),
    Route(
        "GET", "/v1/operations", "List the evacuations, reclaims and recoveries of this run.",
        operating.every, answers="Operation", many=True,
    ),
    Route(
        "GET", "/v1/operations/{operation}", "Look at one of them.",
        operating.one, answers="Operation", codes=("unknown-operation",),
    ),
    Route(
        "DELETE", "/v1/operations/{operation}", "Have an evacuation begin no more moves.",
        operating.stop, status=202, answers="Operation", codes=("unknown-operation", "over"),
    ),
    Route(
        "GET", "/v1/operations/{operation}/events",
        "Follow it: each `trip` or `moment`, then the `end` with what became of it.",
        follow=operating.follow, codes=("unknown-operation",),
    ),
    Route(
        "POST", "/v1/recover", "Settle what is unfinished, as far as it goes now.",
        resources.recover, body=bodies.nothing, answers="Settled", many=True,
    ),
    Route("GET", "/metrics", "Tell Prometheus.", resources.figures),
)  # fmt: skip
