"""Expressions: the values of Python where the language has the operation, a refusal everywhere else."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphc.errors import GraphcError
from graphc.spec.expressions import evaluate

NAMES: dict[str, object] = {
    "ch": 64,
    "odd": 57,
    "act": "relu",
    "sizes": [1, 2, 4, 8],
    "f": 2.5,
    "bias": False,
    "inf": math.inf,
    "x": object(),
}

VALUES = {
    "ch / 2": 32,
    "odd / 2": 28.5,
    "5.0 / 2.5": 2.0,
    "ch // 7 % 4": 1,
    "2**3**2": 512,
    "-ch + +2": -62,
    "7 if ch > 3 else nowhere": 7,
    "act == 'relu'": True,
    "act != 'relu' or ch": 64,
    "bias and nowhere": False,
    "not bias": True,
    "1 < 2 < 2": False,
    "act in ['relu', 'elu']": True,
    "3 not in sizes": True,
    "sizes[1] + sizes[-1]": 10,
    "sizes[log2(4)]": 4,
    "[ch, [f]]": [64, [2.5]],
    "[ch, [f]][1][0]": 2.5,
    "min(3, 1, 2)": 1,
    "max(sizes)": 8,
    "floor(-2.5)": -3,
    "ceil(2.1)": 3,
    "round(2.6)": 3,
    "round(2.5)": 2,
    "sqrt(16)": 4.0,
    "log2(8)": 3.0,
    "abs(-3)": 3,
    "len(sizes)": 4,
    "range(3)": [0, 1, 2],
    "range(1, 8, 3)": [1, 4, 7],
    "range(log2(4))": [0, 1],
    "len(range(4096))": 4096,
    "true and null == None": True,
    "2**53": 2**53,
    "inf": math.inf,
    "inf > 1": True,
    "  1 ": 1,
    "(" * 100 + "1" + ")" * 100: 1,
    "dim(x, 2 - 1)": ("x", 1),
}


def refused(text: str) -> GraphcError:
    with pytest.raises(GraphcError) as caught:
        evaluate(text, NAMES)
    assert caught.value.where is None
    return caught.value


@pytest.mark.parametrize("text", VALUES)
def test_values(text: str) -> None:
    def dim(value: object, axis: int) -> int:
        assert value is NAMES["x"]
        return 100 + axis

    expected = 101 if text.startswith("dim") else VALUES[text]
    found = evaluate(text, NAMES, {"dim": dim})
    assert (type(found), found) == (type(expected), expected)


def test_make_divisible_is_the_rounding_of_mobilenet_v2() -> None:
    # Widths of MobileNet v2 (Sandler et al. 2018) at multipliers 0.35, 0.5, 0.75 and 1.4.
    published = {0.35: [16, 8, 8, 16, 24, 32, 56, 112], 1.4: [48, 24, 32, 48, 88, 136, 224, 448]}
    for factor, widths in published.items():
        found = [evaluate("make_divisible(w * m)", {"w": w, "m": factor}) for w in (32, 16, 24, 32, 64, 96, 160, 320)]
        assert found == widths
    assert evaluate("make_divisible(w)", {"w": 1}) == 8
    assert evaluate("make_divisible(37, 4)", {}) == 36


REFUSED = {
    "l[1:2]": "spec/unknown-name",
    "sizes[1:2]": "spec/bad-expression",
    "sizes[4]": "spec/bad-expression",
    "sizes[0.5]": "spec/bad-expression",
    "ch[0]": "spec/bad-expression",
    "chn": "spec/unknown-name",
    "print(1)": "spec/unknown-name",
    "dim(x, 1)": "spec/unknown-name",
    "act < 3": "spec/bad-expression",
    "1 + bias": "spec/bad-expression",
    "act + act": "spec/bad-expression",
    "sizes + sizes": "spec/bad-expression",
    "sizes * 3": "spec/bad-expression",
    "'a' * 10**9": "spec/bad-expression",
    "'%9999999999d' % 1": "spec/bad-expression",
    "9**9**9": "spec/bad-expression",
    "2**65": "spec/bad-expression",
    "2**53 + 1": "spec/bad-expression",
    "1e400": "spec/bad-expression",
    "inf * 0": "spec/bad-expression",
    "0**-1": "spec/bad-expression",
    "(-8)**0.5": "spec/bad-expression",
    "1 / 0": "spec/bad-expression",
    "1 % 0": "spec/bad-expression",
    "log2(0)": "spec/bad-expression",
    "sqrt(-1)": "spec/bad-expression",
    "floor(inf)": "spec/bad-expression",
    "round(5, -1000000000)": "spec/bad-expression",
    "range(4097)": "spec/bad-expression",
    "[range(4096), 1]": "spec/bad-expression",
    "range(10**15)": "spec/bad-expression",
    "range(inf)": "spec/bad-expression",
    "range(0, 1, 0)": "spec/bad-expression",
    "min()": "spec/bad-expression",
    "min(a=1)": "spec/bad-expression",
    "min(*sizes)": "spec/bad-expression",
    "x": "spec/bad-expression",
    "x + 1": "spec/bad-expression",
    "[x]": "spec/bad-expression",
    "len(x)": "spec/bad-expression",
    "x is x": "spec/bad-expression",
    "~1": "spec/bad-expression",
    "1 << 70": "spec/bad-expression",
    "1 @ 2": "spec/bad-expression",
    "1j": "spec/bad-expression",
    "b'a'": "spec/bad-expression",
    "...": "spec/bad-expression",
    "(1, 2)": "spec/bad-expression",
    "{1: 2}": "spec/bad-expression",
    "f'{ch}'": "spec/bad-expression",
    "lambda: 1": "spec/bad-expression",
    "[i for i in sizes]": "spec/bad-expression",
    "(y := 1)": "spec/bad-expression",
    "act.upper": "spec/bad-expression",
    "act.upper()": "spec/unknown-name",
    "__import__('os').system('true')": "spec/unknown-name",
    "().__class__.__mro__": "spec/bad-expression",
    "": "spec/bad-expression",
    "1 +": "spec/bad-expression",
    "=1": "spec/bad-expression",
    "1; 2": "spec/bad-expression",
    "1\0": "spec/bad-expression",
    "1\n2": "spec/bad-expression",
    "-" * 30 + "1": "spec/bad-expression",
    "1 + " * 30 + "1": "spec/bad-expression",
    "(" * 250 + "1": "spec/bad-expression",
    "1 " + " " * 256: "spec/bad-expression",
}


@pytest.mark.parametrize("text", REFUSED)
def test_refusals(text: str) -> None:
    assert refused(text).code == REFUSED[text]


def test_unknown_names_suggest_near_ones() -> None:
    assert "'ch'" in refused("chh").hint
    assert "'make_divisible'" in refused("make_divisable(3)").hint


def test_a_function_of_the_caller_may_refuse_in_its_own_words() -> None:
    def dim(value: object, axis: int) -> int:
        raise GraphcError("no such axis", code="spec/shape-mismatch")

    with pytest.raises(GraphcError, match="no such axis"):
        evaluate("dim(x, 9)", NAMES, {"dim": dim})
    with pytest.raises(GraphcError) as caught:
        evaluate("dim(x)", NAMES, {"dim": dim})
    assert caught.value.code == "spec/bad-expression"


def test_lists_of_lists_stay_small_however_often_they_are_doubled() -> None:
    def repeated(text: str) -> None:
        names: dict[str, object] = {"a": []}
        for _ in range(100):
            names["a"] = evaluate(text, names)

    for text in ("[a, a]", "[a]"):
        with pytest.raises(GraphcError, match="4096 items or 24 levels"):
            repeated(text)


@pytest.mark.filterwarnings("error")
def test_pythons_advice_on_source_code_is_not_shown() -> None:
    assert refused("5 is 5").code == "spec/bad-expression"
    assert evaluate(r"'\d' == '\\d'", {}) is True


NUMBERS = st.integers(0, 50).map(str) | st.floats(0, 50, allow_nan=False).map(repr) | st.sampled_from(["a", "b"])
OPERATORS = ["+", "-", "*", "//", "%", "**", "<", "<=", ">", ">=", "==", "!=", "and", "or"]
EXPRESSIONS = st.recursive(
    NUMBERS,
    lambda e: (
        st.tuples(e, st.sampled_from(OPERATORS), e).map(lambda t: f"({t[0]} {t[1]} {t[2]})")
        | e.map(lambda t: f"(-{t})")
        | e.map(lambda t: f"(not {t})")
        | st.tuples(e, e, e).map(lambda t: f"({t[0]} if {t[1]} else {t[2]})")
        | st.tuples(st.sampled_from(["min", "max"]), e, e).map(lambda t: f"{t[0]}({t[1]}, {t[2]})")
    ),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None)
@given(EXPRESSIONS)
def test_an_expression_has_pythons_value_or_is_refused(text: str) -> None:
    names = {"a": 3, "b": -0.5}
    try:
        found = evaluate(text, names)
    except GraphcError:
        return  # beyond a bound, or arithmetic with a truth value: `test_refusals` holds each of these
    expected = eval(text, {"min": min, "max": max}, names)  # the oracle; `text` is made above
    assert (type(found), found) == (type(expected), expected)


@settings(max_examples=200, deadline=None)
@given(st.integers(-(10**6), 10**6), st.integers(1, 10**3))
def test_division_is_exact_when_it_comes_out_even(a: int, b: int) -> None:
    found = evaluate("a / b", {"a": a, "b": b})
    assert isinstance(found, int) is ((a // b) * b == a)
    assert found == pytest.approx(a / b, rel=2**-53, abs=0)


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ab01.+-*/%()[]{},:='\"<>! ifelsnotrg\\\n\0é"), max_size=30))
def test_any_text_has_a_value_or_is_refused(text: str) -> None:
    code = ""
    try:
        evaluate(text, {"a": 3, "b": [1, 2]})
    except GraphcError as error:
        code = error.code
    assert code in ("", "spec/bad-expression", "spec/unknown-name")
