"""Requests that can never be served, and flags that can not be."""

import pytest

from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.store.config import parse
from pilothouse.services.store.requests import (
    Compare,
    DeleteRange,
    Field,
    Put,
    Range,
    Relation,
    Txn,
    check,
)

DUPLICATE = "duplicate key given"


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (Range(b""), "key is not provided"),
        (Put(b""), "key is not provided"),
        (DeleteRange(b""), "key is not provided"),
        (Put(b"k", b"v", ignore_value=True), "value is provided"),
        (Put(b"k", lease=1, ignore_lease=True), "lease is provided"),
        (Txn(success=[Put(b"k"), Put(b"k")]), DUPLICATE),
        (Txn(failure=[Put(b"k"), DeleteRange(b"a", b"z")]), DUPLICATE),
        (Txn(success=[DeleteRange(b"a", b"\0"), Put(b"k")]), DUPLICATE),
        (Txn(success=[Put(b"k"), Txn(failure=[Put(b"k")])]), DUPLICATE),
        (Txn(success=[Txn(success=[Put(b"k")]), Txn(success=[Put(b"k")])]), DUPLICATE),
        (Txn(success=[Txn(success=[Put(b"k")]), Txn(success=[DeleteRange(b"k")])]), DUPLICATE),
        (Txn(success=[Range(b"k")] * 129), "too many operations"),
        (Txn(success=[Txn(success=[Range(b"k")] * 128)]), "too many operations"),
        (
            Txn(compare=[Compare(b"", Field.MOD, Relation.EQUAL, 0)]),
            "key is not provided",
        ),
    ],
)
def test_refused(request_, text: str) -> None:
    with pytest.raises(ApiError, match=text):
        check(request_)


@pytest.mark.parametrize(
    "request_",
    [
        Range(b"k"),
        Txn(),
        Txn(success=[Put(b"k")], failure=[Put(b"k")]),
        Txn(success=[DeleteRange(b"a", b"z"), DeleteRange(b"b")]),
        Txn(success=[Txn(success=[Put(b"k")], failure=[Put(b"k")])]),
        Txn(success=[Txn(success=[Put(b"k")], failure=[DeleteRange(b"k")])]),
        Txn(success=[Put(b"k"), DeleteRange(b"l")]),
        Txn(success=[Txn(success=[Range(b"k")] * 127)]),
    ],
)
def test_allowed(request_) -> None:
    check(request_)


def test_flags() -> None:
    config = parse(["--data-dir", "/d", "--listen", "/s", "--listen", "[::1]:1", "--insecure"])
    assert config.database == "/d/store.db"
    assert [listen.is_unix for listen in config.listens] == [True, False]
    assert config.client_urls == ("http://[::1]:1",)


@pytest.mark.parametrize(
    "flags",
    [
        ["--listen", "127.0.0.1:1"],
        ["--listen", "0.0.0.0:1", "--insecure"],
        ["--listen", "example.org:1", "--insecure"],
        ["--listen", "127.0.0.1:1", "--cert-file", "/c"],
        [],
    ],
)
def test_flags_that_can_not_be(flags: list[str], capsys) -> None:
    with pytest.raises(SystemExit):
        parse(["--data-dir", "/d", *flags])
    assert "--listen" in (told := capsys.readouterr().err) or "--cert-file" in told
