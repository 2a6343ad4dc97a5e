"""What parses, what does not, and where the caret points."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.machinery.cel import types
from pilothouse.services.machinery.cel.environment import Environment
from pilothouse.services.machinery.cel.errors import CompileErrors, EvaluationError
from pilothouse.services.machinery.cel.program import compile_expression
from pilothouse.services.machinery.cel.schema import declare, schema_type

SELF = schema_type(
    {
        "type": "object",
        "properties": {
            "count": {"type": "integer"},
            "name": {"type": "string"},
            "namespace": {"type": "string"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "a-b": {"type": "integer"},
            "x": {"x-kubernetes-preserve-unknown-fields": True},
        },
    },
    root=True,
)
ENVIRONMENT = Environment({"self": SELF, "any": declare(types.DYN)})


def value(source, **bindings):
    return compile_expression(source, ENVIRONMENT, None).evaluate(bindings)[0]


def error(source, result=types.BOOL):
    with pytest.raises(CompileErrors) as caught:
        compile_expression(source, ENVIRONMENT, result)
    return str(caught.value)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("1 + 2 * 3 - 4 / 2", 5),
        ("-3 % 2", -1),
        ("!true || !!true", True),
        ("1 < 2 && 'a' in ['a'] ? 'yes' : 'no'", "yes"),
        (r"'\u00e9\x41\101\n' + r'\n'", "\u00e9AA\n\\n"),
        ("'''a\n'b'''", "a\n'b"),
        (r"b'\xff' + b'a'", b"\xffa"),
        ("0x1F + 1", 32),
        ("1e3 + .5", 1000.5),
        ("[1, 2,][1] // a comment", 2),
        ("{'a': {'b': 7}}.a.b", 7),
        ("-9223372036854775808", -(2**63)),
        ("true ? (false ? 1 : 2) : 3", 2),
        ("1 == 1 == true", True),
    ],
)
def test_expressions_have_their_values(source, expected):
    assert value(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("self.missing", "<input>:1:5: undefined field 'missing'\n | self.missing\n | ....^"),
        ("1 + 'a' == 2", "1:3: found no matching overload for '_+_' applied to '(int, string)'"),
        ("foo == 1", "<input>:1:1: undeclared reference to 'foo' (in container '')"),
        ("self.name.foo()", "1:14: undeclared reference to 'foo' (in container '')"),
        ("self.name.startsWith(1)", "'startsWith' applied to 'string.(int)'"),
        ("self.count.all(x, true)", "expression of type 'int' cannot be range of a comprehension"),
        ("self.name.first.last", "type 'string' does not support field selection"),
        ("self.x == 1", "undefined field 'x'"),
        ("self.name && true", "1:5: expected type 'bool' but found 'string'"),
        ("[1, 'a'] == [1]", "1:5: expected type 'int' but found 'string'"),
        ("has(self)", "invalid argument to has() macro"),
        ("self.tags.all(self.x, true)", "argument must be a simple name"),
        ("self.count ==", "Syntax error: mismatched input '<EOF>' expecting {'['"),
        ("self.name == 'a", "Syntax error: token recognition error at: ''a'"),
        ("namespace == 'a'", "reserved identifier: namespace"),
        ("99999999999999999999 > 1", "invalid int literal"),
        ("1" * 5000 + " > 1", "invalid int literal"),
        ("self.count", "cel expression must evaluate to a bool"),
        ("duration('x') > duration('1s')", "invalid duration argument"),
        ("timestamp('x') > timestamp(0)", "invalid timestamp argument"),
        ("self.name.matches('(')", "invalid matches argument"),
        ("cel.bind(x, 1, x == 1)", "undeclared reference to 'cel'"),
        ("self.tags.all(i, i, true)", "duplicate variable name: i"),
    ],
)
def test_errors_say_what_and_where(source, expected):
    assert expected in error(source)


def test_the_line_of_the_error_is_shown_with_wide_dots_for_wide_characters():
    text = error("true &&\n  '\u2603' == 1")
    assert text.splitlines() == [
        "ERROR: <input>:2:7: found no matching overload for '_==_' applied to '(string, int)'",
        " |   '\u2603' == 1",
        " | ...\uff0e..^",
    ]


def test_every_finding_is_told():
    assert error("self.a == 1 && self.b == 2").count("ERROR: <input>:") == 2


def test_escaped_names_are_read():
    given_ = {"namespace": "n", "a-b": 3}
    assert value("self.__namespace__ == 'n' && self.a__dash__b == 3", self=given_) is True


def test_deep_nesting_and_long_expressions_are_refused_not_crashed():
    assert "recursion limit exceeded" in error("(" * 1000 + "true" + ")" * 1000)
    assert "recursion limit exceeded" in error("!(" * 140 + "true" + ")" * 140)
    assert "code point size exceeds limit" in error("true" + " " * 100_000)


def test_long_chains_of_logic_are_no_deep_nesting():
    assert value(" && ".join(["true"] * 2000)) is True


def test_references_are_the_variables_that_are_read():
    program = compile_expression("[self.name].exists(any, any == 'a')", ENVIRONMENT)
    assert program.references == {"self"}


def test_unbound_variables_are_errors():
    with pytest.raises(EvaluationError, match=r"no such attribute\(s\): self"):
        value("self.name == 'a'")


def compiles_or_says_why(source):
    try:
        compile_expression(source, ENVIRONMENT, None)
    except CompileErrors as refused:
        return str(refused).startswith("ERROR: <input>:")
    return True


@given(st.text(max_size=40))
def test_any_text_either_compiles_or_is_refused(source):
    assert compiles_or_says_why(source)


@given(st.text(alphabet="()[]{}?:.,'\"+-!&|<>= selfnamecount019", max_size=40))
def test_any_tokens_either_compile_or_are_refused(source):
    assert compiles_or_says_why(source)
