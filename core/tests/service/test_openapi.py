"""The document describes what the table routes."""

from __future__ import annotations

from openapi_spec_validator import OpenAPIV31SpecValidator

from domwarden.service.api import ROUTES
from domwarden.service.openapi import openapi
from domwarden.service.problems import CODES


def test_the_document_is_valid() -> None:
    """As the specification's own schema says."""
    OpenAPIV31SpecValidator(openapi(ROUTES)).validate()


def test_every_route_has_its_operation() -> None:
    """With parameters, body, answer and problems; no two have the same name."""
    document = openapi(ROUTES)
    names = []
    for route in ROUTES:
        operation = document["paths"][route.path][route.method.lower()]
        names.append(operation["operationId"])
        found = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
        assert found == set(route.parameters)
        assert ("requestBody" in operation) is (route.body is not None)
        assert {str(route.status), "400", "408"} <= set(operation["responses"])
    assert len(set(names)) == len(names)


def test_every_problem_is_told_of() -> None:
    """Each code stands at some operation, but for those of what no route takes."""
    text = str(openapi(ROUTES))
    missing = {code for code in CODES if f" {code}," not in text and f" {code}." not in text}
    assert missing == {"no-such-path", "wrong-method", "move-failed", "try-again"}
