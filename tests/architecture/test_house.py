"""The house rules hold in every file; and each rule is seen to catch what it is there for."""

from pathlib import Path
from statistics import median, quantiles

import pytest
from kit import house
from kit.house import Source

RULES = (
    house.long_files,
    house.long_functions,
    house.many_arguments,
    house.fat_classes,
    house.missing_docstring,
    house.banned_names,
    house.relative_imports,
    house.silent_ignores,
    house.unfinished,
    house.eager_packages,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_file_keeps_the_rule(rule):
    assert [wrong for source in house.sources() for wrong in rule(source)] == []


def test_tests_have_docstrings_and_no_mocks():
    wrong = [
        line
        for source in house.tests()
        for rule in (house.missing_docstring, house.mocks, house.silent_ignores)
        for line in rule(source)
    ]
    assert wrong == []


def test_files_are_small_as_a_whole():
    lengths = sorted(
        len(source.lines) for source in house.sources() if source.place.name != "__init__.py"
    )
    assert median(lengths) <= 130
    assert quantiles(lengths, n=10)[8] <= 300


def test_functions_are_small_as_a_whole():
    lengths = [
        house.length_of(function) for source in house.sources() for function in source.functions()
    ]
    assert quantiles(lengths, n=10)[8] <= 22


def test_the_import_root_holds_only_links():
    root = house.TOP / "src" / "pilothouse"
    assert [path.name for path in root.iterdir() if not path.is_symlink()] == []
    for room in (room for room in house.ROOMS if (house.TOP / room).is_dir()):
        assert (root / room).resolve() == house.TOP / room


SEVEN = ", ".join(f"a{i}" for i in range(7))
METHODS = "\n".join(f"    def m{i}(self): ..." for i in range(13))
EIGHT = "\n".join(f"    def m{i}(self): ..." for i in range(8))
NOQA, IGNORE = "# no" + "qa: F401", "# type: " + "ignore[x]"


@pytest.mark.parametrize(
    ("rule", "place", "text"),
    [
        (house.long_files, "ops/a.py", "\n" * 401),
        (house.long_files, "services/a/__main__.py", "\n" * 61),
        (house.long_functions, "ops/a.py", "def f():\n" + "    x = 1\n" * 60),
        (house.many_arguments, "ops/a.py", f"def f({SEVEN}): ..."),
        (house.many_arguments, "ops/a.py", f"class A:\n    def f(self, *, {SEVEN}): ..."),
        (house.fat_classes, "ops/a.py", f"class A:\n{METHODS}"),
        (house.fat_classes, "ops/a.py", f"class A(Protocol):\n{EIGHT}"),
        (house.missing_docstring, "ops/a.py", "x = 1"),
        (house.banned_names, "ops/utils.py", ""),
        (house.banned_names, "services/common/a.py", ""),
        (house.banned_names, "ops/a.py", "class PodManager: ..."),
        (house.relative_imports, "ops/a.py", "from . import b"),
        (house.silent_ignores, "ops/a.py", f"import b  {NOQA}"),
        (house.silent_ignores, "ops/a.py", f"b = 1  {IGNORE}"),
        (house.unfinished, "ops/a.py", "x = 1  # TO" + "DO: more"),
        (house.unfinished, "ops/a.py", "def f():\n    raise NotImplementedError"),
        (house.eager_packages, "ops/__init__.py", '"""Doc."""\nimport os'),
        (house.mocks, "tests/a.py", "from unittest import mock"),
        (house.impure_imports, "services/a/plan.py", "import asyncio"),
        (house.impure_imports, "services/a/plan.py", "from os import path"),
        (house.edge_imports, "services/a/plan.py", "from pilothouse.services.a.rpc import kv"),
        (house.edge_imports, "services/a/plan.py", "from pilothouse.services.a import adapters"),
    ],
)
def test_a_rule_catches_what_it_is_there_for(rule, place, text):
    assert rule(Source(Path(place), text)) != []


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (house.silent_ignores, f"import b  {NOQA} - kept for its side effect"),
        (house.silent_ignores, f"# The stubs are wrong here.\nb = 1  {IGNORE}"),
        (house.many_arguments, "class A:\n    def f(self, a, b, c, d, e, f): ..."),
        (house.relative_imports, "from pilothouse.ops import a"),
    ],
)
def test_a_rule_lets_pass_what_is_right(rule, text):
    assert rule(Source(Path("ops/a.py"), text)) == []
