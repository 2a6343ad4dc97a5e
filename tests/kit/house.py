"""The house rules as functions from a source file to what is wrong with it."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

TOP = Path(__file__).parents[2]
ROOMS = ("services", "cni", "ops", "cri_shim", "csi")
SERVICES_FLOORS = ("machinery", "runtime")

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
MAIN_LINES_MAX = 60
ARGUMENTS_MAX = 6
PUBLIC_METHODS_MAX = 12
PROTOCOL_METHODS_MAX = 7

BANNED_NAMES = frozenset(
    {"common", "util", "utils", "helper", "helpers", "base", "core", "impl", "misc", "data", "info"}
)
BANNED_ENDINGS = ("Manager", "Handler")
IMPURE = frozenset(
    {"asyncio", "grpc", "sqlite3", "socket", "subprocess", "os", "time", "random", "aiohttp"}
)
EDGES = frozenset({"__main__", "config", "adapters", "rpc", "rest"})


@dataclass(frozen=True)
class Source:
    """A Python file of ours; ``place`` is its path from the top."""

    place: Path
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        for item in ast.walk(self.tree):
            if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
                yield item

    def classes(self) -> Iterator[ast.ClassDef]:
        for item in ast.walk(self.tree):
            if isinstance(item, ast.ClassDef):
                yield item

    def imports(self) -> Iterator[str]:
        """Full names of the modules that are imported when the program runs."""
        for item in ast.walk(self.tree):
            if isinstance(item, ast.Import):
                yield from (name.name for name in item.names)
            elif isinstance(item, ast.ImportFrom) and item.module and not item.level:
                yield item.module
                yield from (f"{item.module}.{name.name}" for name in item.names)


@lru_cache(1)
def sources() -> tuple[Source, ...]:
    """Every file of the product, generated code apart."""
    return tuple(
        Source(path.relative_to(TOP), path.read_text())
        for room in ROOMS
        for path in sorted((TOP / room).rglob("*.py"))
        if "_pb2" not in path.name
    )


@lru_cache(1)
def tests() -> tuple[Source, ...]:
    """Every file of the tests."""
    return tuple(
        Source(path.relative_to(TOP), path.read_text())
        for path in sorted((TOP / "tests").rglob("*.py"))
    )


def services() -> list[str]:
    """The names of the services, without the floors they stand on."""
    return sorted(
        path.parent.name
        for path in (TOP / "services").glob("*/__init__.py")
        if path.parent.name not in SERVICES_FLOORS
    )


def long_files(source: Source) -> list[str]:
    most = MAIN_LINES_MAX if is_service_main(source.place) else FILE_LINES_MAX
    count = len(source.lines)
    return [f"{source.place}: {count} lines, at most {most}"] if count > most else []


def is_service_main(place: Path) -> bool:
    return place.name == "__main__.py" and place.parts[0] == "services"


def length_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def long_functions(source: Source) -> list[str]:
    return [
        f"{source.place}:{function.lineno} {function.name}: {length_of(function)} lines"
        for function in source.functions()
        if length_of(function) > FUNCTION_LINES_MAX
    ]


def many_arguments(source: Source) -> list[str]:
    found = []
    for function in source.functions():
        given = function.args
        names = [item.arg for item in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
        count = len([name for name in names if name not in {"self", "cls"}])
        if count > ARGUMENTS_MAX:
            found.append(f"{source.place}:{function.lineno} {function.name}: {count} arguments")
    return found


def public_methods(class_: ast.ClassDef) -> set[str]:
    return {
        item.name
        for item in class_.body
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)
        and not item.name.startswith("_")
    }


def is_protocol(class_: ast.ClassDef) -> bool:
    return any("Protocol" in ast.unparse(parent) for parent in class_.bases)


def fat_classes(source: Source) -> list[str]:
    found = []
    for class_ in source.classes():
        most = PROTOCOL_METHODS_MAX if is_protocol(class_) else PUBLIC_METHODS_MAX
        count = len(public_methods(class_))
        if count > most:
            found.append(f"{source.place}:{class_.lineno} {class_.name}: {count}, at most {most}")
    return found


def missing_docstring(source: Source) -> list[str]:
    return [] if ast.get_docstring(source.tree) else [f"{source.place}: no docstring"]


def banned_names(source: Source) -> list[str]:
    parts = (*source.place.parts[:-1], source.place.stem)
    found = [f"{source.place}: a module called {part}" for part in parts if part in BANNED_NAMES]
    return found + [
        f"{source.place}:{class_.lineno}: a class called {class_.name}"
        for class_ in source.classes()
        if class_.name.endswith(BANNED_ENDINGS)
    ]


def relative_imports(source: Source) -> list[str]:
    return [
        f"{source.place}:{item.lineno}: relative import"
        for item in ast.walk(source.tree)
        if isinstance(item, ast.ImportFrom) and item.level
    ]


_NOQA = re.compile(r"#\s*noqa(?::\s*[A-Z]+[0-9]+(?:,\s*[A-Z]+[0-9]+)*)?(?P<reason>.*)")
_IGNORE = re.compile(r"#\s*type:\s*ignore(?:\[[\w\-, ]+\])?(?P<reason>.*)")


def silent_ignores(source: Source) -> list[str]:
    """Ignores that do not say why, beside them or in a comment on the line above."""
    found = []
    for number, line in enumerate(source.lines):
        for pattern in (_NOQA, _IGNORE):
            match = pattern.search(line)
            above = source.lines[number - 1].strip() if number else ""
            if match and len(match["reason"].strip(" -#")) < 2 and not above.startswith("#"):
                found.append(f"{source.place}:{number + 1}: {line.strip()}")
    return found


_UNFINISHED = re.compile(r"#.*\b(TODO|FIXME|XXX|HACK)\b")


def unfinished(source: Source) -> list[str]:
    found = [
        f"{source.place}:{number}: {line.strip()}"
        for number, line in enumerate(source.lines, 1)
        if _UNFINISHED.search(line)
    ]
    return found + [
        f"{source.place}:{item.lineno}: raise NotImplementedError"
        for item in ast.walk(source.tree)
        if isinstance(item, ast.Raise)
        and item.exc is not None
        and "NotImplementedError" in ast.unparse(item.exc)
    ]


def eager_packages(source: Source) -> list[str]:
    """``__init__`` files with more than a docstring: nothing registers by being imported."""
    if source.place.name != "__init__.py" or len(source.tree.body) <= 1:
        return []
    return [f"{source.place}: more than a docstring"]


def mocks(source: Source) -> list[str]:
    return [f"{source.place}: imports {name}" for name in source.imports() if "mock" in name]


def impure_imports(source: Source) -> list[str]:
    return [
        f"{source.place}: imports {name}"
        for name in source.imports()
        if name.split(".")[0] in IMPURE
    ]


def edge_imports(source: Source) -> list[str]:
    """What a module that decides imports of its own service's edges."""
    service = ".".join(("pilothouse", *source.place.parts[:2]))
    edges = {f"{service}.{edge}" for edge in EDGES - {"config"}}
    return [
        f"{source.place}: imports {name}"
        for name in source.imports()
        if ".".join(name.split(".")[:4]) in edges
    ]
