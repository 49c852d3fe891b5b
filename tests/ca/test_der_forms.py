"""A form that was learnt gives what writing it piece by piece gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ca import der
from ca.der_forms import Form


def written(first: bytes, second: bytes) -> bytes:
    """Percent signs, lengths of every kind, something constant at both ends."""
    inside = der.sequence(b"%d%%", der.octet_string(first), der.explicit(0, b"100 %"))
    return der.sequence(inside, der.octet_string(der.octet_string(second)), b"%b")


FORM = Form(written)


@given(st.binary(max_size=300), st.binary(max_size=70))
def test_the_same_octets(first: bytes, second: bytes) -> None:
    """X.690 §8.1.3: a length says nothing of what the octets are."""
    for _ in range(2):
        assert FORM(first, second) == written(first, second)
        assert FORM(bytes(len(first)), second) == written(bytes(len(first)), second)


def test_a_form_that_leaves_a_part_out_is_found_at_once() -> None:
    with pytest.raises(ValueError, match="each of its parts"):
        Form(lambda first, second: first[::-1] + second)(bytes(range(20)), bytes(20))
