"""Refused senders are not listened to for long, so that their tests are quick."""

from __future__ import annotations

import pytest

from domwarden.service import connection


@pytest.fixture(autouse=True)
def _brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LINGER_SECONDS", 0.1)
