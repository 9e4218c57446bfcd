"""Each line of the threat model names tests, and these exist."""

import re

import pytest

from gateway import ROOT

pytestmark = pytest.mark.access

MODEL = ROOT / "Sources/Gateway/Documentation.docc/ThreatModel.md"
ROW = re.compile(r"^\| (?!what is tried|---)(.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
REFERENCE = re.compile(r"`([A-Za-z_+]+\.(?:py|swift))(?: ([A-Za-z0-9_]+))?`")


def rows():
    text = MODEL.read_text().split("\n## What is tried\n")[1]
    return [match.groups() for match in ROW.finditer(text)]


def test_there_are_rows():
    assert len(rows()) > 40


@pytest.mark.parametrize("tried, holds, tests", rows())
def test_each_line_has_tests_that_exist(tried, holds, tests):
    references = REFERENCE.findall(tests)
    assert references, f"no test for: {tried}"
    for file, name in references:
        paths = list((ROOT / "Tests").rglob(file))
        assert len(paths) == 1, f"{file} of: {tried}: {paths}"
        assert not name or re.search(rf"\b(def|func) {name}\b", paths[0].read_text()), f"{file} has no {name}"
