"""What a bench needs and does not find."""

from __future__ import annotations

from domwarden.testing.require import required


class AbsentError(Exception):
    """A bench cannot run here; an error where DOMWARDEN_REQUIRE names the feature."""

    def __init__(self, feature: str, reason: str) -> None:
        super().__init__(f"{feature}: {reason}")
        self.required = required(feature)
