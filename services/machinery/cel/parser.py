"""Tokens to a syntax tree, macros expanded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilothouse.services.machinery.cel.errors import CompileErrors, Issue
from pilothouse.services.machinery.cel.lexer import Token, tokenize, unquote
from pilothouse.services.machinery.cel.macros import MacroError, expand
from pilothouse.services.machinery.cel.nodes import (
    Call,
    Ident,
    ListNode,
    Literal,
    MapNode,
    Node,
    Select,
    StructNode,
)
from pilothouse.services.machinery.cel.values import Uint

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_CODE_POINTS = 100_000
# Upstream counts 250; ours is what CPython's own stack bears in every later pass.
MAX_DEPTH = 130
_DIGITS_MAX = 20
RESERVED = frozenset(
    [
        "as",
        "break",
        "const",
        "continue",
        "else",
        "false",
        "for",
        "function",
        "if",
        "import",
        "in",
        "let",
        "loop",
        "null",
        "package",
        "namespace",
        "return",
        "true",
        "var",
        "void",
        "while",
    ]
)
_BINARY = {
    "==": 1,
    "!=": 1,
    "<": 1,
    "<=": 1,
    ">": 1,
    ">=": 1,
    "in": 1,
    "+": 2,
    "-": 2,
    "*": 3,
    "/": 3,
    "%": 3,
}
_FUNCTIONS = {op: f"_{op}_" for op in _BINARY} | {"in": "@in"}
_PRIMARIES = (
    "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', "
    "NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"
)


def parse(source: str, bindings: bool = False) -> Node:
    """The tree of an expression; `bindings` allows cel.bind. Raises CompileErrors."""
    if len(source) > MAX_CODE_POINTS:
        message = f"size: {len(source)}, limit {MAX_CODE_POINTS}"
        raise CompileErrors("", [Issue(0, f"expression code point size exceeds limit: {message}")])
    parser = _Parser(source, bindings)
    node = parser.expression()
    if parser.token.kind != "end":
        parser.fail(f"Syntax error: mismatched input '{parser.token.text}' expecting <EOF>")
    if parser.issues:
        raise CompileErrors(source, parser.issues)
    return node


class _Parser:
    def __init__(self, source: str, bindings: bool) -> None:
        self.source = source
        self.bindings = bindings
        self.tokens = tokenize(source)
        self.index = 0
        self.token = self.tokens[0]
        self.depth = 0
        self.issues: list[Issue] = []

    def fail(self, message: str, position: int | None = None) -> None:
        """Stops at the first syntax error, as nothing sensible follows it."""
        at = self.token.position if position is None else position
        raise CompileErrors(self.source, [*self.issues, Issue(at, message)])

    def advance(self) -> Token:
        token = self.token
        self.index += 1
        self.token = self.tokens[min(self.index, len(self.tokens) - 1)]
        return token

    def accept(self, text: str) -> Token | None:
        token = self.token
        if token.text == text and token.kind in ("op", "ident"):
            return self.advance()
        return None

    def expect(self, text: str) -> Token:
        token = self.accept(text)
        if token is None:
            self.fail(f"Syntax error: mismatched input '{self.token.text}' expecting '{text}'")
            raise AssertionError
        return token

    def expression(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail("expression recursion limit exceeded: 250")
        node = self._disjunction()
        question = self.accept("?")
        if question is not None:
            yes = self._disjunction()
            self.expect(":")
            node = Call(question.position, "_?_:_", [node, yes, self.expression()])
        self.depth -= 1
        return node

    def _disjunction(self) -> Node:
        return self._logical("||", "_||_", lambda: self._logical("&&", "_&&_", self._relation))

    def _logical(self, operator: str, function: str, operand: Callable[[], Node]) -> Node:
        terms, positions = [operand()], []
        while (token := self.accept(operator)) is not None:
            positions.append(token.position)
            terms.append(operand())
        return _balanced(function, terms, positions)

    def _relation(self, minimum: int = 1) -> Node:
        left = self._unary()
        while True:
            token = self.token
            level = _BINARY.get(token.text, 0) if token.kind in ("op", "ident") else 0
            if level < minimum:
                return left
            self.advance()
            left = Call(token.position, _FUNCTIONS[token.text], [left, self._relation(level + 1)])

    def _unary(self) -> Node:
        token = self.token
        if token.kind != "op" or token.text not in ("!", "-"):
            return self._member(self._primary())
        count = 0
        while self.accept(token.text) is not None:
            count += 1
        if token.text == "-" and count == 1 and self.token.kind in ("int", "float"):
            return self._member(self._number(self.advance(), negative=True))
        operand = self._member(self._primary())
        if count % 2 == 0:
            return operand
        return Call(token.position, "!_" if token.text == "!" else "-_", [operand])

    def _member(self, node: Node) -> Node:
        while True:
            token = self.token
            if token.kind != "op" or token.text not in (".", "["):
                return node
            self.advance()
            optional = self.accept("?") is not None
            if token.text == "[":
                index = self.expression()
                self.expect("]")
                node = Call(token.position, "_[?_]" if optional else "_[_]", [node, index])
            else:
                node = self._selection(node, token.position, optional)

    def _selection(self, node: Node, position: int, optional: bool) -> Node:
        name = self.token
        if name.kind != "ident" or name.text in ("in", "true", "false", "null"):
            self.fail(f"Syntax error: mismatched input '{name.text}' expecting IDENTIFIER")
        self.advance()
        if optional:
            return Call(position, "_?._", [node, Literal(name.position, name.text)])
        opened = self.accept("(")
        if opened is not None:
            return self._call(Call(opened.position, name.text, self._arguments(")"), node))
        return Select(position, node, name.text)

    def _call(self, call: Call) -> Node:
        try:
            expanded = expand(call, self.bindings)
        except MacroError as error:
            self.issues.append(Issue(error.position, str(error)))
            return call
        return call if expanded is None else expanded

    def _arguments(self, close: str) -> list[Node]:
        args: list[Node] = []
        if self.accept(close) is not None:
            return args
        while True:
            args.append(self.expression())
            if self.accept(",") is None:
                self.expect(close)
                return args

    def _primary(self) -> Node:
        token = self.token
        kind, text = token.kind, token.text
        if kind == "ident":
            return self._name(self.advance(), "")
        if kind in ("int", "uint", "float"):
            return self._number(self.advance())
        if kind == "string":
            self.advance()
            try:
                return Literal(token.position, unquote(text))
            except ValueError as error:
                self.fail(str(error), token.position)
        if kind == "op" and text in "([{.":
            return self._bracketed(self.advance())
        self.fail(f"Syntax error: mismatched input '{text}' expecting {_PRIMARIES}")
        raise AssertionError

    def _bracketed(self, token: Token) -> Node:
        if token.text == "(":
            node = self.expression()
            self.expect(")")
            return node
        if token.text == "[":
            return self._list_literal(token.position)
        if token.text == "{":
            return self._map_literal(token.position)
        if self.token.kind != "ident":
            self.fail(f"Syntax error: mismatched input '{self.token.text}' expecting IDENTIFIER")
        return self._name(self.advance(), ".")

    def _name(self, token: Token, dot: str) -> Node:
        text = token.text
        if text in ("true", "false", "null") and not dot:
            return Literal(token.position, {"true": True, "false": False, "null": None}[text])
        if text == "in":
            self.fail(f"Syntax error: mismatched input 'in' expecting {_PRIMARIES}", token.position)
        struct = self._struct_literal(token, dot)
        if struct is not None:
            return struct
        if text in RESERVED:
            self.issues.append(Issue(token.position, f"reserved identifier: {text}"))
        opened = self.accept("(")
        if opened is not None:
            return self._call(Call(opened.position, dot + text, self._arguments(")")))
        return Ident(token.position, dot + text)

    def _struct_literal(self, token: Token, dot: str) -> Node | None:
        names, index = [token.text], self.index
        while self.tokens[index].text == "." and self.tokens[index + 1].kind == "ident":
            names.append(self.tokens[index + 1].text)
            index += 2
        opened = self.tokens[index]
        if opened.kind != "op" or opened.text != "{":
            return None
        self.index, self.token = index, opened
        self.advance()
        fields: list[tuple[str, Node, bool, int]] = []
        while self.accept("}") is None:
            optional = self.accept("?") is not None
            field = self.advance()
            if field.kind != "ident":
                self.fail(
                    f"Syntax error: mismatched input '{field.text}' expecting IDENTIFIER",
                    field.position,
                )
            colon = self.expect(":")
            fields.append((field.text, self.expression(), optional, colon.position))
            if self.accept(",") is None:
                self.expect("}")
                break
        return StructNode(opened.position, dot + ".".join(names), fields)

    def _list_literal(self, position: int) -> Node:
        elements: list[Node] = []
        optional: set[int] = set()
        while self.accept("]") is None:
            if self.accept("?") is not None:
                optional.add(len(elements))
            elements.append(self.expression())
            if self.accept(",") is None:
                self.expect("]")
                break
        return ListNode(position, elements, frozenset(optional))

    def _map_literal(self, position: int) -> Node:
        entries: list[tuple[Node, Node, bool]] = []
        while self.accept("}") is None:
            optional = self.accept("?") is not None
            key = self.expression()
            self.expect(":")
            entries.append((key, self.expression(), optional))
            if self.accept(",") is None:
                self.expect("}")
                break
        return MapNode(position, entries)

    def _number(self, token: Token, negative: bool = False) -> Node:
        text = token.text
        at = token.position - 1 if negative else token.position
        if token.kind == "float":
            return Literal(at, -float(text) if negative else float(text))
        if token.kind == "uint":
            value = _integer(text[:-1])
            if value >= 2**64:
                self.fail("invalid uint literal", at)
            return Literal(at, Uint(value))
        value = _integer(text)
        value = -value if negative else value
        if not -(2**63) <= value < 2**63:
            self.fail("invalid int literal", at)
        return Literal(at, value)


def _integer(text: str) -> int:
    """The value of digits; of too many of them one beyond every range."""
    if len(text.lstrip("0x")) > _DIGITS_MAX:
        return 2**80
    return int(text, 16 if text.startswith("0x") else 10)


def _balanced(function: str, terms: list[Node], positions: list[int]) -> Node:
    """Long chains become a balanced tree, so that their depth is logarithmic."""
    if len(terms) == 1:
        return terms[0]
    middle = (len(terms) - 1) // 2
    left = _balanced(function, terms[: middle + 1], positions[:middle])
    right = _balanced(function, terms[middle + 1 :], positions[middle + 1 :])
    return Call(positions[middle], function, [left, right])
