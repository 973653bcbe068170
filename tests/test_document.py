"""The document reader: YAML 1.2 core values, exact places, refusals with the right code, line and column."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphc.errors import GraphcError, Where
from graphc.limits import Limits
from graphc.spec.document import parse, read
from graphc.spec.tree import MappingNode, ScalarNode, SequenceNode, Tree, plain

SCALARS = {  # plain text: its value in the YAML 1.2 core schema
    "": None,
    "~": None,
    "null": None,
    "NULL": None,
    "nUll": "nUll",
    "true": True,
    "False": False,
    "no": "no",
    "on": "on",
    "y": "y",
    "12": 12,
    "012": 12,
    "+12": 12,
    "-7": -7,
    "0x1F": 31,
    "-0x1F": "-0x1F",
    "0o17": 15,
    "0b11": "0b11",
    "1_000": "1_000",
    "1:30": "1:30",
    "2001-12-14": "2001-12-14",
    "1e-4": 1e-4,
    "1E+3": 1000.0,
    ".5": 0.5,
    "5.": 5.0,
    "-.inf": -math.inf,
    ".Inf": math.inf,
    "inf": "inf",
    "1.2.3": "1.2.3",
    "=": "=",
    "=ch / 2": "=ch / 2",
    "9223372036854775807": 2**63 - 1,
    "-9223372036854775808": -(2**63),
}


def refused(text: str, limits: Limits | None = None) -> GraphcError:
    with pytest.raises(GraphcError) as caught:
        parse(text, "f.yaml", limits or Limits())
    return caught.value


@pytest.mark.parametrize(("text", "value"), SCALARS.items())
def test_plain_scalars_are_yaml_1_2_core(text: str, value: object) -> None:
    tree = parse(f"a: {text}\nb: [x, '{text}']", "f.yaml")
    found = tree.entries["a"]
    assert isinstance(found, ScalarNode)
    assert (type(found.value), found.value, found.quoted) == (type(value), value, False)
    assert plain(tree.entries["b"]) == ["x", text]


def test_not_a_number() -> None:
    value = plain(parse("a: .nan", "f.yaml"))["a"]  # type: ignore[index]  # a mapping, as written
    assert math.isnan(value)


def test_quoted_scalars_say_so() -> None:
    items = parse("a: [8, '8', \"8\"]", "f.yaml").entries["a"]
    assert isinstance(items, SequenceNode)
    assert [(item.value, item.quoted) for item in items if isinstance(item, ScalarNode)] == [
        (8, False),
        ("8", True),
        ("8", True),
    ]


# ---------------------------------------------------------------- places

PLACES = """\
graphc: 1
nodes:
  - conv: {out: 64, k: 3}
  - repeat: =depth
    do: [relu, {id: y, pool: "2"}]
"""


def test_places_of_keys_and_values() -> None:
    tree = parse(PLACES, "f.yaml")
    nodes = tree.entries["nodes"]
    assert isinstance(nodes, SequenceNode)
    conv, repeat = nodes.items
    assert isinstance(conv, MappingNode)
    assert isinstance(repeat, MappingNode)
    arguments, body = conv.entries["conv"], repeat.entries["do"]
    assert isinstance(arguments, MappingNode)
    assert isinstance(body, SequenceNode)
    assert [tree.keys["nodes"], nodes.where, conv.keys["conv"], arguments.where, arguments.keys["k"]] == [
        Where("f.yaml", 2, 1),
        Where("f.yaml", 3, 3),
        Where("f.yaml", 3, 5),
        Where("f.yaml", 3, 11),
        Where("f.yaml", 3, 21),
    ]
    assert [repeat.entries["repeat"].where, body.items[0].where] == [
        Where("f.yaml", 4, 13),
        Where("f.yaml", 5, 10),
    ]
    assert body.items[0].where.text == PLACES.splitlines()[4]


KEYS = st.text("abcdefgh", min_size=1, max_size=3)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def scalars(tree: Tree) -> list[ScalarNode]:
    """Every scalar of a tree, in file order."""
    if isinstance(tree, ScalarNode):
        return [tree]
    children = tree.items if isinstance(tree, SequenceNode) else tree.entries.values()
    return [found for child in children for found in scalars(child)]


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(KEYS, VALUES, max_size=4),
    st.sampled_from([None, 1, 2]),
    st.booleans(),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["", "\ufeff"]),
)
def test_json_is_read_as_json_reads_it(
    value: dict[str, object], indent: int | None, ascii_only: bool, line_break: str, mark: str
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only).replace("\n", line_break)
    tree = parse(mark + text, "f.json")
    assert plain(tree) == json.loads(text)
    lines = text.split(line_break)
    for scalar in scalars(tree):  # the value itself stands at its place
        rest = lines[scalar.where.line - 1][scalar.where.column - 1 :]
        decoded, _ = json.JSONDecoder().raw_decode(rest)
        assert decoded == scalar.value
        assert scalar.where.text == lines[scalar.where.line - 1]


# ---------------------------------------------------------------- refusals

REFUSED = {  # name: (text, code, line, column)
    "tag": ("a: 1\nb: !!float 1", "spec/yaml-tag", 2, 4),
    "python object": ("a: !!python/object/apply:os.system ['true']", "spec/yaml-tag", 1, 4),
    "tag of a mapping": ("a:\n  - !set {x}", "spec/yaml-tag", 2, 5),
    "tag through a directive": ("%TAG ! tag:yaml.org,2002:\n---\na: !int 1", "spec/yaml-tag", 3, 4),
    "duplicate key": ("a: 1\nb:\n  c: 1\n  c: 2", "spec/duplicate-key", 4, 3),
    "duplicate key in a flow": ("{a: 1, a: 2}", "spec/duplicate-key", 1, 8),
    "merge key": ("a: &x {b: 1}\nc:\n  <<: *x", "spec/merge-key", 3, 3),
    "integer key": ("a: {8: 1}", "spec/bad-type", 1, 5),
    "null key": ("a:\n  ~: 1", "spec/bad-type", 2, 3),
    "list key": ("? [a, b]\n: 1", "spec/bad-type", 1, 3),
    "second document": ("a: 1\n---\nb: 1", "spec/yaml-syntax", 2, 1),
    "second document after an end": ("a: 1\n...\n---\nb: 1", "spec/yaml-syntax", 3, 1),
    "empty": ("", "spec/yaml-syntax", 1, 1),
    "only a comment": ("\n# nothing\n", "spec/yaml-syntax", 1, 1),
    "a list": ("- a", "spec/bad-type", 1, 1),
    "a scalar": ("relu", "spec/bad-type", 1, 1),
    "tab": ("a:\n\tb: 1", "spec/yaml-syntax", 2, 1),
    "no closing brace": ("a: {b: 1\nc: 2", "spec/yaml-syntax", 1, 4),
    "bell": ("a: 1\nb: x\x07", "spec/yaml-syntax", 2, 5),
    "escaped NUL": ('a: "x\\0"', "spec/yaml-syntax", 1, 4),
    "escaped terminal control": ('a: "\\e[31m"', "spec/yaml-syntax", 1, 4),
    "half a surrogate pair": ('a: "\\ud800"', "spec/yaml-syntax", 1, 4),
    "escape beyond Unicode": ('a: "\\U00110000"', "spec/yaml-syntax", 1, 7),
    "huge integer": ("a: " + "9" * 5000, "spec/bad-value", 1, 4),
    "65-bit integer": ("a: 9223372036854775808", "spec/bad-value", 1, 4),
    "huge hexadecimal": ("a: 0x" + "f" * 17, "spec/bad-value", 1, 4),
    "float beyond float64": ("a: 1e999", "spec/bad-value", 1, 4),
    "undefined alias": ("a: 1\nb: *x", "spec/yaml-syntax", 2, 4),
    "recursive alias": ("a: &x\n  - *x", "spec/recursive-alias", 2, 5),
    "incompatible YAML": ("%YAML 3.0\n---\na: 1", "spec/yaml-syntax", 1, 1),
    "comma in an expression": ("a:\n  {ch: =min(a, b)}", "spec/yaml-syntax", 2, 8),
    "comma in an expression in a list": ("a: [=min(a, b)]", "spec/yaml-syntax", 1, 5),
    "bracket in an expression": ("a: {ch: =b[0]}", "spec/yaml-syntax", 1, 11),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_have_code_and_place(name: str) -> None:
    text, code, line, column = REFUSED[name]
    error = refused(text)
    assert (error.code, error.where) == (code, Where("f.yaml", line, column))
    assert error.where is not None
    assert error.where.text == (text.split("\n")[line - 1] if text.strip() else "")


def test_an_unquoted_comma_says_what_to_write() -> None:
    for text in ("a: {ch: =min(a, b)}", "a: {ch: =b[0]}", "a: [=[1, 2]]"):
        assert '"=min(a, b)"' in refused(text).hint
    assert plain(parse('a: {ch: "=min(a, b)", on: =x == "("}\nb: =min(a, [1, 2])', "f.yaml")) == {
        "a": {"ch": "=min(a, b)", "on": '=x == "("'},
        "b": "=min(a, [1, 2])",
    }


def test_a_duplicate_key_names_the_first() -> None:
    assert refused("a: 1\nb: 2\na: 3").notes[0].where == Where("f.yaml", 1, 1)


def test_a_byte_order_mark_does_not_move_columns() -> None:
    assert refused("\ufeffa: !x").where == Where("f.yaml", 1, 4)


def test_a_json_surrogate_pair_is_one_character() -> None:
    assert plain(parse('{"a": "\\ud83d\\ude00"}', "f.json")) == {"a": "\U0001f600"}


# ---------------------------------------------------------------- aliases and limits


def test_an_alias_is_its_anchor_and_an_anchor_may_be_given_again() -> None:
    assert plain(parse("a: &x [1]\nb: *x\nc: &x 2\nd: *x\ne: &x {f: &x 3, g: *x}", "f.yaml")) == {
        "a": [1],
        "b": [1],
        "c": 2,
        "d": 2,
        "e": {"f": 3, "g": 3},
    }


def test_aliases_are_counted() -> None:
    text = "a: &x 1\nb: [" + "*x, " * 5 + "]"
    parse(text, "f.yaml", Limits(spec_aliases=5))
    error = refused(text, Limits(spec_aliases=4))
    assert (error.code, error.where) == ("spec/limit-exceeded", Where("f.yaml", 2, 5 + 4 * 4))


def test_an_alias_counts_as_the_values_it_stands_for() -> None:
    text = "a: &x [1, 2, 3]\nb: *x"  # the mapping, two keys, twice a list of three
    parse(text, "f.yaml", Limits(spec_nodes=11))
    error = refused(text, Limits(spec_nodes=10))
    assert (error.code, error.where) == ("spec/limit-exceeded", Where("f.yaml", 2, 4))


def test_an_alias_has_the_depth_of_what_it_stands_for() -> None:
    text = "a: &x [[1]]\nb: [[*x]]"  # levels: mapping, two lists, two lists, the number
    parse(text, "f.yaml", Limits(spec_depth=6))
    assert refused(text, Limits(spec_depth=5)).where == Where("f.yaml", 2, 6)


def test_depth_and_size_are_bounded() -> None:
    parse("a: [[1]]", "f.yaml", Limits(spec_depth=4, spec_bytes=8))
    assert refused("a: [[1]]", Limits(spec_depth=3)).where == Where("f.yaml", 1, 6)
    assert refused("a: [[1]]", Limits(spec_bytes=7)).code == "spec/limit-exceeded"


# ---------------------------------------------------------------- files


def test_read_takes_utf8_with_and_without_a_mark(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    for mark in (b"", b"\xef\xbb\xbf"):
        file.write_bytes(mark + "a: µ\r\nb: 1".encode())
        assert plain(read(file)) == {"a": "µ", "b": 1}


def test_read_refuses_other_encodings_at_their_place(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_bytes("a: 1\nb: µµ".encode() + b"\xff")
    with pytest.raises(GraphcError) as caught:
        read(file)
    assert (caught.value.code, caught.value.where) == ("spec/not-utf8", Where(str(file), 2, 6))


def test_read_refuses_what_is_no_file(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path, Path("a\0b")):
        with pytest.raises(GraphcError) as caught:
            read(path)
        assert (caught.value.code, caught.value.exit_code) == ("run/file-not-found", 2)


def test_read_does_not_read_beyond_the_limit(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_bytes(b"a: 1\n" + b"\xff" * 100)
    with pytest.raises(GraphcError) as caught:
        read(file, Limits(spec_bytes=50))
    assert caught.value.code == "spec/limit-exceeded"


@settings(max_examples=400, deadline=None)
@given(st.text(st.sampled_from("ab1=:-?,[]{}#&*!|>'\"%@`\\ \t\n\r~<.0xuU\ufeff\x85é"), max_size=40))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    try:
        places = [scalar.where for scalar in scalars(parse(text, "f.yaml"))]
    except GraphcError as error:
        places = [error.where or Where("nowhere")]
    assert all(place.line >= 1 and place.column >= 1 for place in places)


@pytest.mark.parametrize(
    ("text", "bracket", "line", "column"),
    [
        ('a: {x: "b"\nc: [y]', "{", 1, 4),
        ("a: {x: b\nc: [y]", "{", 1, 4),
        ("a: 1\nc: [y,\n", "[", 2, 4),
        ("a:\n  - {b: {c: 1}\n  - d", "{", 2, 5),
        ("a: {b: [1, 2\nc: 3", "[", 1, 8),
    ],
)
def test_a_bracket_that_is_not_closed_is_shown_where_it_opens(text: str, bracket: str, line: int, column: int) -> None:
    error = refused(text)
    assert (error.message, error.where) == (f"the '{bracket}' is not closed", Where("f.yaml", line, column))


@pytest.mark.parametrize(("text", "column"), [("a: {b: 1 c: 2}", 11), ("a: {b: [1, 2}", 13)])
def test_a_bracket_that_is_closed_wrongly_is_shown_there(text: str, column: int) -> None:
    error = refused(text)
    assert error.message.startswith("expected ',' or")
    assert error.where == Where("f.yaml", 1, column)


def test_a_type_without_quotes_is_shown_with_them() -> None:
    assert refused("a: {image: f32[N, 3, H, W], b: c}").hint == 'put quotes around it: "f32[N, 3, H, W]"'
