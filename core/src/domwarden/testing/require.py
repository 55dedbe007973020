"""Features that tests need: absent ones skip for a user, but fail where they are required."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn


def required(feature: str) -> bool:
    """Say whether the environment variable DOMWARDEN_REQUIRE (a comma list) names the feature."""
    wanted = os.environ.get("DOMWARDEN_REQUIRE", "")
    return feature in {word.strip() for word in wanted.split(",")}


def absent(feature: str, reason: str) -> NoReturn:
    """Skip the calling pytest test with the reason, or fail it where the feature is required."""
    import pytest  # here, because this package is usable without pytest

    if required(feature):
        pytest.fail(f"{feature} is required by DOMWARDEN_REQUIRE, but {reason}", pytrace=False)
    pytest.skip(f"{feature}: {reason}")


def program(feature: str, name: str) -> str:
    """Return the path of a program; where it is not installed, the feature is absent."""
    found = shutil.which(name)
    if found is None:
        absent(feature, f"{name} is not installed")
    return found
