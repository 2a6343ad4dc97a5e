"""The forms of names, keys and values."""

import pytest

from pilothouse.services.machinery import names


@pytest.mark.parametrize("name", ["a", "a-b", "0a", "a" * 63])
def test_labels(name):
    assert names.label(name) == ""


@pytest.mark.parametrize("name", ["", "A", "-a", "a-", "a.b", "a_b", "a" * 64, "..", "a/b", "a\n"])
def test_what_is_no_label(name):
    assert names.label(name)


@pytest.mark.parametrize("name", ["a", "a.b", "a-b.c", "1.2"])
def test_subdomains(name):
    assert names.subdomain(name) == ""


@pytest.mark.parametrize("name", ["", "..", ".", "a..b", "a.", "A.b", "a/b", "%2e", "a" * 254])
def test_what_is_no_subdomain(name):
    assert names.subdomain(name)


@pytest.mark.parametrize("name", [".", "..", "a/b", "a%b"])
def test_what_is_no_step_of_a_path(name):
    assert names.path_segment(name)


@pytest.mark.parametrize("key", ["app", "a.b/c", "kubernetes.io/Name_x.y", "A"])
def test_qualified_keys(key):
    assert names.qualified(key) == ""


@pytest.mark.parametrize("key", ["", "/a", "a/", "a/b/c", "-a", "A.b/c", "a" * 64, "é"])
def test_what_is_no_qualified_key(key):
    assert names.qualified(key)


def test_annotations_are_bounded_in_all():
    assert not names.check_annotations({"a": "x" * 1000}, "f")
    assert names.check_annotations({"a": "x" * (256 * 1024)}, "f")[0].reason == "FieldValueTooLong"
