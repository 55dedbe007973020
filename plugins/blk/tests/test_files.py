"""Names that appear and go as a crash may interrupt them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from domwarden.contract import Host, PermanentError
from domwarden_blk import files, names


def test_publish_never_replaces_another_file(tmp_path: Path) -> None:
    """What has the name keeps it, and nothing is lost."""
    made, final = tmp_path / "made", tmp_path / "final"
    made.write_text("new")
    final.write_text("old")
    with pytest.raises(PermanentError, match="in the way"):
        files.publish(made, final)
    assert (made.read_text(), final.read_text()) == ("new", "old")


def test_publish_goes_on_from_wherever_it_was_interrupted(tmp_path: Path) -> None:
    """Before the link, between link and unlink, and afterwards."""
    made, final = tmp_path / "made", tmp_path / "final"
    made.write_text("new")
    os.link(made, final)
    files.publish(made, final)
    files.publish(made, final)
    assert final.read_text() == "new"
    assert not made.exists()


def test_publish_without_either_name_is_an_error(tmp_path: Path) -> None:
    """A lost image is not taken for a published one."""
    with pytest.raises(PermanentError, match="neither"):
        files.publish(tmp_path / "made", tmp_path / "final")


def test_publish_works_where_there_are_no_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """vfat and some network file systems refuse link(2)."""

    def no_links(*_args: object, **_named: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", no_links)
    made, final = tmp_path / "made", tmp_path / "final"
    made.write_text("new")
    files.publish(made, final)
    assert final.read_text() == "new"
    made.write_text("newer")
    with pytest.raises(PermanentError, match="in the way"):
        files.publish(made, final)


def test_create_takes_only_a_free_name(tmp_path: Path) -> None:
    """Also a dangling link is in the way."""
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(PermanentError, match="cannot create"):
        files.create(link)
    files.create(tmp_path / "new", b"x", size_bytes=1024)
    assert (tmp_path / "new").stat().st_size == 1024
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600


def test_the_longest_prefix_is_mapped() -> None:
    """Whole path components count, not characters."""
    host = Host("b", Path("/state"), {"blk": {"directories": {"/a": "/x", "/a/b": "/y"}}})
    assert names.on_host("/a/b/c.raw", host) == Path("/y/c.raw")
    assert names.on_host("/a/c.raw", host) == Path("/x/c.raw")
    assert names.on_host("/ab/c.raw", host) == Path("/ab/c.raw")
