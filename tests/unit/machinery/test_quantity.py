"""Quantities: the exact value stays the same under canonical spelling."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.machinery import quantity

suffixes = st.sampled_from(["", "n", "u", "m", "k", "M", "G", "T", "Ki", "Mi", "Gi", "e3", "E-2"])
texts = st.builds("{}{}{}".format, st.integers(0, 10**6), st.sampled_from(["", ".5", ".25"]),
                  suffixes)  # fmt: skip


@given(texts)
def test_canonical_keeps_the_value_to_a_billionth(text):
    value = quantity.parse(text)
    kept = quantity.parse(quantity.canonical(text))
    assert kept >= value
    assert kept - value < Decimal("1e-9")


@given(texts)
def test_canonical_is_its_own_canonical(text):
    once = quantity.canonical(text)
    assert quantity.canonical(once) == once
    assert "." not in once


@pytest.mark.parametrize(
    ("text", "canonical"),
    [("1000m", "1"), ("0.5", "500m"), ("1024Mi", "1Gi"), ("1500m", "1500m"), ("1.5Gi", "1536Mi"),
     ("0", "0"), ("0Gi", "0"), (2, "2"), ("12e6", "12e6"), ("1000k", "1M"), ("-3k", "-3k")],
)  # fmt: skip
def test_canonical_spellings(text, canonical):
    assert quantity.canonical(text) == canonical


@pytest.mark.parametrize("text", ["", "1x", "Ki", "1 Gi", "--1", "1e", "1.2.3", "0x1", "1KiB"])
def test_what_is_no_quantity_is_refused(text):
    with pytest.raises(ValueError, match="quantities must match"):
        quantity.parse(text)
