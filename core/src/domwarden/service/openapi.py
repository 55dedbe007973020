"""The OpenAPI document of the table that routes and validates."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Sequence
from typing import Any

from domwarden.plugins.options import json_schema_of, required_of
from domwarden.service.answers import answers
from domwarden.service.metrics import CONTENT_TYPE as FIGURES
from domwarden.service.problems import CODES, CONTENT_TYPE
from domwarden.service.routes import PARAMETERS, Route

#: Problems that any request may meet.
_ANY = ("bad-request", "too-slow", "too-many", "large-headers", "internal", "stopping")
#: Those of requests that have a body.
_BODY = ("too-large", "wrong-type", "invalid")


def openapi(routes: Sequence[Route]) -> dict[str, Any]:
    """Return the document (https://spec.openapis.org/oas/v3.1.0)."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "domwarden",
            "version": importlib.metadata.version("domwarden"),
            "description": "One host's domains and their moves. What fails is a problem "
            "(RFC 9457) whose `code` does not change.",
        },
        "paths": paths,
        "components": {"schemas": answers()},
    }


def _operation(route: Route) -> dict[str, Any]:
    words = [part.strip("{}").replace(".", "_") for part in route.parts if part != "v1"]
    found: dict[str, Any] = {
        "operationId": "_".join((route.method.lower(), *words)),
        "summary": route.summary,
        "responses": {str(route.status): _answer(route), **_problems(route)},
    }
    parameters = [*_in_path(route), *_in_query(route)]
    if parameters:
        found["parameters"] = parameters
    if route.body is not None:
        schema = json_schema_of(route.body())
        found["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema}},
        }
    return found


def _in_path(route: Route) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": PARAMETERS[name][1],
            "schema": {"type": "string", "pattern": f"^(?:{PARAMETERS[name][0]})"},
        }
        for name in route.parameters
    ]


def _in_query(route: Route) -> list[dict[str, Any]]:
    mapping = route.query()
    properties = json_schema_of(mapping)["properties"]
    return [
        {"name": name, "in": "query", "required": name in required_of(mapping), "schema": schema}
        for name, schema in properties.items()
    ]


def _answer(route: Route) -> dict[str, Any]:
    if route.follow is not None:
        return _content("Server-sent events.", "text/event-stream", {"type": "string"})
    if not route.answers:
        if route.path == "/metrics":
            kind, _, _ = FIGURES.partition(";")
            return _content("Prometheus's text format.", kind, {"type": "string"})
        return _content("The document.", "application/json", {"type": "object"})
    schema: dict[str, Any] = {"$ref": f"#/components/schemas/{route.answers}"}
    if route.many:
        schema = {"type": "array", "items": schema}
    return _content(route.summary, "application/json", schema)


def _problems(route: Route) -> dict[str, Any]:
    codes: Iterable[str] = (*_ANY, *(_BODY if route.body is not None else ()), *route.codes)
    if route.query():
        codes = (*codes, "invalid")
    by_status: dict[str, list[str]] = {}
    for code in dict.fromkeys(codes):
        by_status.setdefault(str(CODES[code][0].value), []).append(code)
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: _content(f"A problem: {', '.join(found)}.", CONTENT_TYPE, schema)
        for status, found in sorted(by_status.items())
    }


def _content(description: str, kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {kind: {"schema": schema}}}
