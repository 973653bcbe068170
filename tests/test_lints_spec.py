"""Lints of specs: every code that graphc raises has one, fixes mend, and what is unused is so in every variant."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from graphc import Edit, Finding, findings, lints
from graphc.linting.lint import LintCase
from graphc.spec.doors import expand_text

ROOT = Path(__file__).parents[1]
CATEGORIES = ("spec", "graph", "security", "numerics", "convolution", "cost", "target", "training")  # but run
CODE = re.compile(rf"({'|'.join(CATEGORIES)})/[a-z0-9]+(-[a-z0-9]+)*")


def codes() -> Iterator[tuple[str, str]]:
    """(code, where) of every text in graphc's source that is a code of those categories."""
    for path in sorted((ROOT / "graphc").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
                yield node.value, f"{path.relative_to(ROOT)}:{node.lineno}"


RAISED = dict(codes())


@pytest.mark.parametrize("code", RAISED)
def test_every_code_has_a_lint(code: str) -> None:
    assert code in lints(), f"raised at {RAISED[code]}"


def test_the_test_sees_codes() -> None:
    assert {"spec/yaml-syntax", "spec/limit-exceeded", "spec/unknown-pass"} <= set(RAISED)


# ---------------------------------------------------------------- fixes

HEAD = 'graphc: 1\ninputs: {x: "f32[1, 4, 8, 8]"}\noutputs: [y]\n'


def found_in(folder: Path, text: str, *names: str) -> tuple[Finding, ...]:
    path = folder / "net.yaml"
    path.write_text(text, encoding="utf-8")
    return findings(path, *names)


def mended(finding: Finding) -> str:
    """The text of the file after the finding's edits, the last line first."""
    assert finding.fix is not None
    lines = Path(finding.file).read_text("utf-8").split("\n")
    for edit in sorted(finding.fix.edits, key=lambda edit: (-edit.line, -edit.start)):
        apply(edit, lines)
    return "\n".join(lines)


def apply(edit: Edit, lines: list[str]) -> None:
    line = lines[edit.line - 1]
    assert line[edit.start - 1 : edit.end - 1] == edit.old
    lines[edit.line - 1] = line[: edit.start - 1] + edit.new + line[edit.end - 1 :]


BAD = [
    pytest.param(case, id=f"{name}-{case.name}")
    for name, lint in lints().items()
    if lint.category == "spec" and lint.on == "spec"
    for case in lint.bad_cases
    if case.kind == "spec"
]


@pytest.mark.parametrize("case", BAD)
def test_a_fix_takes_its_finding_away_and_makes_no_other(case: LintCase, tmp_path: Path) -> None:
    found = findings(case.write(tmp_path))
    for each in found:
        if each.fix is not None:
            left = found_in(tmp_path, mended(each))
            assert len(left) == len(found) - 1, "\n".join(map(str, left))
            case.write(tmp_path)


UNREAD = {  # what stands under the head: what the fix of its only finding makes of it
    "let:\n  a: 2\n  b: 3 # of nobody\nnodes: [{id: y, scale: =a}]\n": (
        "let:\n  a: 2\n\nnodes: [{id: y, scale: =a}]\n",
        True,
    ),
    "let: {a: 2, b: 3}\nnodes: [{id: y, scale: =a}]\n": ("let: {a: 2}\nnodes: [{id: y, scale: =a}]\n", True),
    "let: {b: [1, 2], a: 2}\nnodes: [{id: y, scale: =a}]\n": ("let: {a: 2}\nnodes: [{id: y, scale: =a}]\n", True),
    "params: {a: 2, b: 3}\nnodes: [{id: y, scale: =a}]\n": ("params: {a: 2}\nnodes: [{id: y, scale: =a}]\n", False),
    "blocks:\n  u: {do: [relu]}\n  v: {do: [tanh]}\nnodes: [{id: y, op: u}]\n": (
        "blocks:\n  u: {do: [relu]}\n\nnodes: [{id: y, op: u}]\n",
        True,
    ),
}


@pytest.mark.parametrize("text", UNREAD)
def test_what_nothing_reads_is_removed_from_its_line(text: str, tmp_path: Path) -> None:
    (found,) = found_in(tmp_path, HEAD + text)
    after, safe = UNREAD[text]
    assert mended(found) == HEAD + after
    assert found.fix is not None
    assert found.fix.safe is safe


KEPT = {
    "an anchor": "let: {a: 2, b: &b [1, 2]}\nnodes: [{id: y, scale: =a, doc: x}]\n",
    "several lines": "let:\n  a: 2\n  b:\n    - 1\n    - 2\nnodes: [{id: y, scale: =a}]\n",
    "the only one": "let: {b: 2}\nnodes: [{id: y, op: relu}]\n",
    "a variant sets it": "params: {a: 2, b: 3}\nvariants: {v: {b: 4}}\nnodes: [{id: y, scale: =a}]\n",
    "a call gives it": "blocks: {u: {params: {a: 2, b: 3}, do: [{scale: =a}]}}\nnodes: [{id: y, u: {b: 4}}]\n",
}


@pytest.mark.parametrize("why", KEPT)
def test_what_is_no_plain_line_is_left_to_its_author(why: str, tmp_path: Path) -> None:
    (found,) = found_in(tmp_path, HEAD + KEPT[why])
    assert found.lint in ("spec/unused-value", "spec/unused-parameter")
    assert found.fix is None


def test_a_base_is_told_of_where_it_is_linted_itself(tmp_path: Path) -> None:
    base = tmp_path / "base.yaml"
    base.write_text(HEAD + "let: {a: 2, b: 3}\nnodes: [{id: y, scale: =a}]\n")
    assert not found_in(tmp_path, "graphc: 1\nextends: base.yaml\n")
    assert [found.message for found in findings(base)] == ["nothing reads value 'b'"]


# ---------------------------------------------------------------- what is unread, what is dead


def unread(text: str) -> list[str]:
    return [f"{each.kind} {each.block}.{each.name}" for each in expand_text(HEAD + text).unread()]


READ = {
    "a loop variable hides a name": (
        "let: {i: 2, d: 3}\nnodes: [{id: y, repeat: {d: [1]}, do: [{repeat: 2, do: [{scale: =i + d}]}]}]",
        ["value .i", "value .d"],
    ),
    "a count is read outside of its loop": ("let: {i: 2}\nnodes: [{id: y, repeat: =i, do: [{scale: =i}]}]", []),
    "an id is no variable": (
        "params: {a: 2}\nnodes: [{id: a, op: relu}, {id: y, op: add, from: [a, x]}]",
        ["parameter .a"],
    ),
    "in a form": (
        "params: {s: 2, a: relu, b: 3}\nnodes:\n"
        "  - residual: {scale: =s, act: =a, do: [{branch: [[tanh], [{scale: =b}]]}, {pw: 4}]}\n  - {id: y, op: relu}",
        [],
    ),
    "in a loss": (
        "params: {w: 2.0}\nnodes: [{id: y, op: prelu}]\n"
        'train: {inputs: {t: "f32[1, 4, 8, 8]"}, losses: [{op: mse, from: [y, t], weight: =w}]}',
        [],
    ),
    "in a target, an optimizer and a pass": (
        "params: {a: 2, b: 3.0, c: always}\nnodes: [{id: y, op: relu}]\ntargets: {cpu: {threads: =a}}\n"
        "train: {inputs: {}, losses: [{op: reduce_mean, from: y}], optimizer: {sgd: {lr: =b}}}\n"
        "passes: [{drop-identity: {when: =c}}]",
        [],
    ),
    "where nothing is expanded": (
        "params: {a: 2}\nblocks: {u: {do: [{scale: =a}]}}\n"
        "nodes: [{repeat: 0, do: [u]}, {when: false, op: u}, {id: y, op: relu}]",
        [],
    ),
    "inputs of a block by id and by expression": (
        'blocks:\n  u: {inputs: [a, b, c, d], outputs: [a], do: [{scale: "=dim(b, 1)", from: c}]}\n'
        "nodes: [{id: y, op: u, from: [x, x, x, x]}]",
        ["input u.d"],
    ),
}


@pytest.mark.parametrize("what", READ)
def test_unread(what: str) -> None:
    text, expected = READ[what]
    assert unread(text) == expected


def test_only_the_end_of_a_dead_chain_is_told(tmp_path: Path) -> None:
    found = found_in(
        tmp_path,
        HEAD + "nodes:\n  - {id: a, op: abs}\n  - {id: b, op: tanh}\n  - {id: y, op: relu, from: x}\n",
        "spec/unused-value",
    )
    assert [(each.message, each.where and each.where.line) for each in found] == [("nothing reads what 'b' gives", 6)]


def test_an_item_that_is_read_in_one_expansion_is_not_dead(tmp_path: Path) -> None:
    spec = (
        "blocks: {two: {outputs: [a, b], do: [{id: a, op: abs}, {id: b, op: tanh, from: x}]}}\n"
        "nodes: [{id: p, op: two}, {id: q, op: two, from: x}, {id: y, op: add, from: [p.a, q.b]}]\n"
    )
    assert not found_in(tmp_path, HEAD + spec, "spec/unused-value")
