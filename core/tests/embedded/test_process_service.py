"""The notes of a hypervisor's process follow its domains, however many calls end at once."""

import asyncio
import time
from typing import cast

from domwarden.contract import Host
from domwarden.embedded import process_service
from domwarden.embedded.hypervisor import Hypervisor
from domwarden.embedded.process_service import ProcessService


class TwoDomains:
    def domains(self, _host):
        return ["web0", "web1"]


async def test_calls_that_end_at_once_write_each_note_once(tmp_path, monkeypatch):
    written = []

    def note(_directory, name, _pid):
        time.sleep(0.001)  # a disk: the next call is there before this one is done
        written.append(name)

    monkeypatch.setattr(process_service, "note_domain", note)
    service = ProcessService(cast("Hypervisor", TwoDomains()), tmp_path)
    host = Host("a", tmp_path)
    await asyncio.gather(*(service._note(host) for _ in range(3)))
    assert written == ["web0", "web1"]
