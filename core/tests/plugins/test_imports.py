"""Importing the packages costs none of the libraries that are not needed yet."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("package", ["domwarden.plugins", "domwarden.config"])
def test_importing_a_package_loads_neither_stevedore_nor_voluptuous(package):
    script = f"import sys, {package}; print(*sorted(sys.modules))"
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    loaded = set(ran.stdout.split())
    assert package in loaded
    assert not loaded & {"stevedore", "voluptuous", "rich", "asyncio"}
