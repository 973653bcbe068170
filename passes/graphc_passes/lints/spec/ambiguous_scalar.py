"""A bare word or number that YAML 1.1 and YAML 1.2 read differently: `no`, `012`, `1_000`, `1:30`.

Why    a spec is YAML 1.2, where `no` is a text and `012` is twelve. Whoever learned YAML 1.1, and every tool that still
       reads it (PyYAML, most editors), takes the one for false and the other for ten. A date is a text for everybody
       who would write one here, and 1e-4, which YAML 1.1 does not know for a number, is one for everybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from graphc import Edit, Fix, Problem, Subject, Where, lint

WORDS = re.compile(r"yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF")
OCTAL = re.compile(r"[-+]?0[0-7_]+")
SEXAGESIMAL = re.compile(r"[-+]?[1-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
UNDERSCORED = re.compile(r"[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?")
BASED = re.compile(r"[-+]?0b[01_]+|[-+]0x[0-9a-fA-F_]+|0x[0-9a-fA-F]*_[0-9a-fA-F_]*")


@lint(on="spec", category="spec", severity="warning", help="put quotes around a text, and write a number plainly")
def ambiguous_scalar(subject: Subject) -> Iterator[Problem]:
    seen: set[Where] = set()
    for text, value, where in subject.expanded.bare():
        elsewhere = _read_by_yaml_1_1(text)
        if elsewhere is None or elsewhere == value or where in seen or where.file != subject.tree.where.file:
            continue
        seen.add(where)  # an alias stands for the same value again
        kind = f"the text '{text}'" if isinstance(value, str) else str(value)
        yield Problem(
            f"{text} is {kind} here, and {_shown(elsewhere)} in YAML 1.1", at=where, fix=_fix(text, value, where)
        )


def _read_by_yaml_1_1(text: str) -> object:
    """The value of a scalar that only YAML 1.1 takes for a truth value or a number, or for another number."""
    digits = text.replace("_", "")
    if WORDS.fullmatch(text):
        return text.lower() in ("yes", "on")
    if OCTAL.fullmatch(text):
        return int(digits, 8)
    if UNDERSCORED.fullmatch(text):
        return float(digits) if "." in digits else int(digits)
    if BASED.fullmatch(text):
        return int(digits, 0)
    if SEXAGESIMAL.fullmatch(text):
        return _sexagesimal(digits)
    return None


def _sexagesimal(digits: str) -> float:
    """`1:30` is ninety."""
    value = 0.0
    for part in digits.lstrip("+-").split(":"):
        value = 60 * value + float(part)
    return -value if digits.startswith("-") else value


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _fix(text: str, value: object, where: Where) -> Fix | None:
    """Write what it is here so that everybody reads it: a text in quotes, a number without zeros in front."""
    start = where.text.find(text, where.column - 1) + 1
    if not start:
        return None
    new = f'"{text}"' if isinstance(value, str) else str(value)
    return Fix(f"write {new}", edits=(Edit(where.file, where.line, start, start + len(text), text, new),))


@ambiguous_scalar.bad
def no() -> str:
    return """
        graphc: 1
        params: {border: no}
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {when: =border == 'no', op: tanh}
          - {id: y, op: relu}
    """


@ambiguous_scalar.bad
def a_key() -> str:
    return """
        graphc: 1
        params: {slope: 0.2}
        variants:
          off: {slope: 0}
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, leaky_relu: =slope}
    """


@ambiguous_scalar.bad
def zero_in_front() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, scale: 012}
    """


@ambiguous_scalar.bad
def digits_in_groups() -> str:
    return """
        graphc: 1
        doc: 1_000
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu}
    """


@ambiguous_scalar.bad
def minutes() -> str:
    return """
        graphc: 1
        doc: 1:30
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu}
    """


@ambiguous_scalar.good
def quoted_or_plain() -> str:
    return """
        graphc: 1
        doc: "1:30"
        params: {border: 'no', slope: 1e-4}
        variants:
          "off": {slope: 0}
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {when: =border == 'no', leaky_relu: =slope}
          - {scale: 12}
          - {id: y, scale: 07}
    """
