"""What README says is there, is there; each decision has its four parts."""

import re

import pytest
from kit import house

from pilothouse.ops.cli import __main__ as cli
from pilothouse.ops.cli.dispatch import SERVICES

README = (house.TOP / "README.md").read_text()
DECISIONS = sorted((house.TOP / "ops/decisions").glob("*.md"))


def test_every_path_in_readme_exists():
    named = set(
        re.findall(r"`((?:\./)?(?:ops|services|tests|examples|protos|cni)/[\w./-]+)`", README)
    )
    named |= set(re.findall(r"\]\(([\w./-]+)\)", README))
    assert len(named) > 8
    assert [path for path in sorted(named) if not (house.TOP / path).exists()] == []


def test_every_verb_in_readme_exists():
    verbs = set(re.findall(r"(?:^|`)pilothouse ([a-z]+)", README, re.MULTILINE))
    assert {"server", "join"} <= verbs
    assert [verb for verb in sorted(verbs) if f"{verb}" not in cli.USAGE.split()] == []


def test_every_service_is_on_the_map_and_has_a_call():
    called = README.partition("a call for each service")[2]
    for service in SERVICES.keys() - {"publish", "routes", "guardian"}:
        folder = service.replace("-", "_")
        assert re.search(rf"^(  )?{folder}/", README, re.MULTILINE)
        assert re.search(rf"\b{service}[\w-]*\.sock", called), service


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_is_one_page_of_four_parts(decision):
    text = decision.read_text()
    parts = ["**Example.**", "**Context.**", "**Decision.**", "**Consequences.**"]
    assert [text.count(part) for part in parts] == [1, 1, 1, 1]
    assert sorted(parts, key=text.index) == parts
    assert len(text.splitlines()) <= 60


def test_decisions_are_numbered_without_gaps():
    assert [int(path.stem[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    for path in DECISIONS:
        assert path.read_text().startswith(f"# {int(path.stem[:4])}. ")
