"""Files checked together must not contradict each other, and many take little time."""

import time
from pathlib import Path

import pytest

from domwarden.config import check_files

from .drivers import GOOD, HOST

ID = "uuid: 0a10b8d7-63a3-4a3e-9e0b-7b3a0f0c0d0e\n"


def put(directory: Path, **texts: str) -> list[Path]:
    paths = []
    for name, text in texts.items():
        paths.append(directory / f"{name}.yaml")
        paths[-1].write_text(text)
    return paths


def test_good_files_have_no_problems(tmp_path):
    assert check_files(put(tmp_path, web1=GOOD, alpha=HOST)) == []


def test_two_domains_of_one_name_are_a_problem_of_the_second(tmp_path):
    one, two = put(tmp_path, one=GOOD, two=GOOD)
    assert [str(problem) for problem in check_files([one, two])] == [
        f"{two}:1:9: domain: domain 'web1' is also defined in {one}:"
        " each domain has a name of its own"
    ]


def test_two_domains_of_one_uuid_are_a_problem_of_the_second(tmp_path):
    other = GOOD.replace("web1", "web2") + ID.upper().replace("UUID", "uuid")
    one, two = put(tmp_path, one=GOOD + ID, two=other)
    [problem] = check_files([one, two])
    assert problem.file == str(two)
    assert problem.path == "uuid"
    assert f"is also defined in {one}" in problem.what


def test_one_file_named_twice_is_read_once(tmp_path):
    [one] = put(tmp_path, one=GOOD)
    assert check_files([one, one]) == []


def test_every_file_is_checked_although_another_is_broken(tmp_path):
    paths = put(tmp_path, a="a: [", b=GOOD.replace("256MiB", "1"), c="", d=GOOD)
    assert [Path(p.file).stem for p in check_files(paths) if p.path != "domain"] == ["a", "b", "c"]


def test_a_thousand_files_take_seconds(tmp_path):
    texts = {f"web{n}": GOOD.replace("domain: web1", f"domain: web{n}") for n in range(1000)}
    paths = put(tmp_path, **texts)
    begun = time.process_time()
    assert check_files(paths) == []
    # About 1 s of processor time on a slow machine of 2020.
    assert time.process_time() - begun < 10


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"key{n}: 1\n" for n in range(5_000)),
        GOOD + "more: [" + ", ".join(["a"] * 5_000) + "]\n",
        GOOD.replace("parts: [", "parts: [" + "{nam: 1}, " * 5_000),
        GOOD.replace("parts: [", "parts: [" + "1, " * 5_000),
        "domain: a\nengine: tiny\nmemory: 1MiB\ndevices:\n"
        + "".join(f"  d{n}: {{driver: d{n}}}\n" for n in range(5_000)),
        "host: a\ndrivers:\n" + "".join(f"  d{n}: {{}}\n" for n in range(5_000)),
        "host: a\npeers:\n" + "".join(f"  d{n}: {{}}\n" for n in range(5_000)),
        f"domain: a\nengine: {'tiny' * 50_000}\n",
        f"{'domain' * 25_000}: a\n",
    ],
    ids=["keys", "list", "items", "numbers", "devices", "drivers", "peers", "value", "key"],
)
def test_a_huge_file_of_mistakes_takes_seconds(tmp_path, text):
    begun = time.process_time()
    found = check_files(put(tmp_path, huge=text))
    assert 1 <= len(found) <= 201
    assert max(len(str(problem)) for problem in found) < 5000
    # What grew with the square of the mistakes would take far longer.
    assert time.process_time() - begun < 10
