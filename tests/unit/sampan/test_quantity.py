from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan import quantity
from sampan.quantity import QuantityError

CANONICAL = {
    "0": "0", "-0": "0", "0.5": "500m", "1024Mi": "1Gi", "1536Mi": "1536Mi", "1.5Gi": "1536Mi", "0.5Ki": "512",
    "0.5Mi": "512Ki", "1000m": "1", "1500m": "1500m", "1000k": "1M", "1e3": "1e3", "100e3": "100e3", "1e4": "10e3",
    "1E": "1E", "1E3": "1e3", "+5": "5", "005": "5", "5.": "5", ".5": "500m", "1n": "1n", "0.1n": "1n", "-0.1n": "-1n",
    "0.0001Ki": "102400u", "100Ki": "100Ki", "1000Ki": "1000Ki", "123456789012": "123456789012", "1u": "1u",
    "12.5Mi": "12800Ki", "1023": "1023", "1e-3": "1e-3", "1e-10": "1e-9",
}  # fmt: skip


@pytest.mark.parametrize(("text", "wanted"), CANONICAL.items())
def test_the_canonical_form_is_upstreams(text: str, wanted: str) -> None:
    assert quantity.canonical(text) == wanted


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "quantities must match the regular expression"),
        ("cheap", "quantities must match the regular expression"),
        ("1 Gi", "quantities must match the regular expression"),
        ("１", "quantities must match the regular expression"),
        ("1" * 300, "quantities must match the regular expression"),
        ("1Gii", "unable to parse quantity's suffix"),
        ("1Zi", "quantities must match the regular expression"),
        ("1e", "unable to parse quantity's suffix"),
        ("1e999999999", "unable to parse quantity's suffix"),
    ],
)
def test_nonsense_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(QuantityError, match=complaint):
        quantity.parse(text)


SUFFIXES = {
    "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000), "": Fraction(1), "k": Fraction(1000),
    "M": Fraction(10**6), "G": Fraction(10**9), "Ki": Fraction(1024), "Mi": Fraction(1024**2), "Gi": Fraction(1024**3),
    "e2": Fraction(100), "E-2": Fraction(1, 100),
}  # fmt: skip
texts = st.tuples(
    st.sampled_from(["", "-", "+"]),
    st.integers(0, 10**6),
    st.none() | st.integers(0, 999),
    st.sampled_from([*SUFFIXES]),
)


@given(texts)
def test_an_amount_is_exact_to_a_billionth_and_rounded_up(parts: tuple[str, int, int | None, str]) -> None:
    sign, whole, part, suffix = parts
    text = f"{sign}{whole}{'' if part is None else f'.{part:03}'}{suffix}"
    amount = (whole + Fraction(part or 0, 1000)) * SUFFIXES[suffix]
    nano = -((-amount * 10**9).__floor__())
    assert quantity.parse(text).nano == (-nano if sign == "-" else nano)
    if sign != "-":
        assert quantity.milli(text) == -(-nano // 10**6)
        assert quantity.value(text) == -(-nano // 10**9)


@given(texts)
def test_writing_and_reading_again_changes_nothing(parts: tuple[str, int, int | None, str]) -> None:
    sign, whole, part, suffix = parts
    first = quantity.parse(f"{sign}{whole}{'' if part is None else f'.{part:03}'}{suffix}")
    again = quantity.parse(str(first))
    assert again == first
    assert str(again) == str(first)


@given(st.integers(0, 10**15), st.integers(0, 10**15))
def test_sums_and_comparisons_are_those_of_numbers(left: int, right: int) -> None:
    assert quantity.value(quantity.add(f"{left}", f"{right}")) == left + right
    assert quantity.compare(f"{left}m", f"{right}m") == (left > right) - (left < right)


def test_the_left_format_wins_unless_it_is_zero() -> None:
    assert quantity.add("1Gi", "1G") == "2073741824"
    assert quantity.add("0", "1Gi") == "1Gi"
    assert quantity.add("512Mi", "512Mi") == "1Gi"
