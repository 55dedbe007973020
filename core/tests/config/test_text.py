"""A file that is no text is one clear line."""

import os
from pathlib import Path

import pytest

from domwarden.config import check_files


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"domain: a\n  \xff", ":2:3: byte 0xff is not UTF-8: save the file as UTF-8"),
        (b"domain: a\xc3", ":1:10: byte 0xc3 is not UTF-8: save the file as UTF-8"),
        ("domain: a".encode("utf-16"), ":1:1: is UTF-16 text: save it as UTF-8"),
        ("domain: a".encode("utf-32"), ":1:1: is UTF-32 text: save it as UTF-8"),
        (b"a: b\nc: \0", ":2:4: character U+0000 may not stand in YAML: remove it"),
        (b"a: \x1b[31m", ":1:4: character U+001B may not stand in YAML: remove it"),
        ("a: \ufeffb".encode(), ":1:4: character U+FEFF may not stand in YAML: remove it"),
        (b"", ":1:1: is empty: write `domain: NAME` and what belongs to it"),
        (b"\xef\xbb\xbf", ":1:1: is empty: write `domain: NAME` and what belongs to it"),
        (b"[1]", ":1:1: is not a mapping: write `domain: NAME` and what belongs to it"),
        (b"just words", ":1:1: is not a mapping: write `domain: NAME` and what belongs to it"),
        (b"a" * (1024 * 1024 + 1), ":1:1: is larger than 1 MiB: one file describes one domain"),
    ],
)
def test_content_that_is_no_yaml_mapping(tmp_path: Path, content, expected):
    file = tmp_path / "f.yaml"
    file.write_bytes(content)
    assert [str(problem) for problem in check_files([file])] == [f"{file}{expected}"]


def test_a_byte_order_mark_before_the_text_is_nothing(tmp_path: Path):
    file = tmp_path / "f.yaml"
    file.write_bytes(b"\xef\xbb\xbfhost: a\n")
    assert check_files([file]) == []


def test_places_that_are_no_files(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    secret = tmp_path / "secret.yaml"
    secret.write_text("host: a")
    secret.chmod(0)
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    paths = [tmp_path, tmp_path / "absent", pipe, loop, Path("/dev/zero"), Path("a\0b")]
    lines = [str(problem) for problem in check_files(paths)]
    for line, expected in zip(lines, [
        "is a directory: name the YAML files in it",
        "cannot be read: No such file or directory",
        "is not a regular file: write the YAML into a file",
        "cannot be read: Too many levels of symbolic links",
        "is not a regular file: write the YAML into a file",
        "cannot be read: embedded null byte",
    ], strict=True):  # fmt: skip
        assert line.endswith(f":1:1: {expected}")
        assert "\n" not in line
    if os.geteuid() != 0:  # root reads everything
        assert "cannot be read: Permission denied" in str(check_files([secret])[0])


def test_a_file_name_that_cannot_be_printed_still_is_one_line(tmp_path: Path):
    file = tmp_path / os.fsdecode(b"bad\xff\nname")
    file.write_text("x")
    [problem] = check_files([file])
    assert str(problem).encode()
    assert "\n" not in str(problem)
