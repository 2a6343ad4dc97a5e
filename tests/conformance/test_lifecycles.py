"""The "API operations" lines: one walk through its life for each kind in ``kinds.yaml``."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from kit.certificates import certificate, signing_request
from kit.lifecycle import Case, Life
from kit.official import Official
from kit.syllabus import line


def cases() -> Iterator[object]:
    filled = {"CERTIFICATE": certificate(), "SIGNING_REQUEST": signing_request()}
    for given in yaml.safe_load((Path(__file__).parent / "kinds.yaml").read_text()):
        which = given.pop("line")
        yield pytest.param(
            Case(**given, filled=filled), id=f"{given['plural']}-{which[1]}", marks=line(*which)
        )


@pytest.mark.parametrize("case", list(cases()))
def test_a_life_from_discovery_to_deletion(client: Official, namespace: str, case: Case) -> None:
    Life(client, case, namespace).walk()
