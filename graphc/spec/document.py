"""Reads a YAML file into a tree in which every key and value knows its line and column.

The file is untrusted. PyYAML only scans and parses here: events come one at a time and are counted against
the limits as they come, and nothing is ever constructed from a tag. Scalars are those of the YAML 1.2 core
schema: `no` and `1:30` are strings, `012` is twelve and `1e-4` is a number. JSON is read by the same door.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from yaml import events as yaml
from yaml.error import Mark, MarkedYAMLError
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.scanner import Scanner

from graphc.errors import GraphcError, Note, Where
from graphc.files import MARK, lines
from graphc.limits import DEFAULT, Limits
from graphc.spec.tree import MappingNode, Plain, ScalarNode, SequenceNode, Tree

WORDS: dict[str, Plain] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
INTEGERS = (
    (re.compile(r"[-+]?[0-9]+"), 10),
    (re.compile(r"0o[0-7]+"), 8),
    (re.compile(r"0x[0-9a-fA-F]+"), 16),
)
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
INFINITY = re.compile(r"([-+]?)\.(inf|Inf|INF)")
NAN = re.compile(r"\.(nan|NaN|NAN)")
INT64 = 1 << 63
MAX_DIGITS = 64  # of an integer, leading zeros included: int() of a long text is quadratic
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
QUOTE_THE_EXPRESSION = "an expression with ',', '[' or '{' inside {...} or [...] needs quotes: \"=min(a, b)\""


def read(path: Path, limits: Limits = DEFAULT) -> MappingNode:
    """The tree of a spec file, which must be UTF-8 (with or without a byte order mark).

    Raises GraphcError: run/file-not-found, spec/not-utf8, and everything `parse` raises.
    """
    file = str(path)
    try:
        if not path.is_file():
            raise GraphcError(f"there is no file '{path}'", code="run/file-not-found", hint="check the path")
        with path.open("rb") as stream:
            content = stream.read(limits.spec_bytes + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise GraphcError(f"cannot read '{path}': {error}", code="run/file-not-found") from None
    _check_size(len(content), file, limits)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise GraphcError(
            f"byte 0x{content[error.start]:02x} is not UTF-8",
            code="spec/not-utf8",
            where=_where_at(content[: error.start].decode("utf-8"), file),
            hint="save the file as UTF-8",
        ) from None
    return parse(text, file, limits)


def parse(text: str, file: str, limits: Limits = DEFAULT) -> MappingNode:
    """The tree of a spec's text; `file` is the name that errors show.

    Raises GraphcError: spec/yaml-syntax, spec/yaml-tag, spec/duplicate-key, spec/merge-key,
    spec/recursive-alias, spec/bad-type (a key that is no text, a spec that is no mapping), spec/bad-value (a
    number beyond 64 bits) and spec/limit-exceeded (size, depth, nodes, aliases).
    """
    _check_size(len(text), file, limits)
    return _Document(text.removeprefix(MARK), file, limits).root()


def _check_size(size: int, file: str, limits: Limits) -> None:
    if size > limits.spec_bytes:
        raise GraphcError(
            f"a spec may have {limits.spec_bytes} bytes, this one has more",
            code="spec/limit-exceeded",
            where=Where(file, 1, 1),
            hint="move parts to other specs and import them",
        )


def _where_at(before: str, file: str) -> Where:
    """The place just after the text `before`."""
    found = lines(before)
    return Where(file, len(found), len(found[-1]) + 1, found[-1])


class _Events(Reader, Scanner, Parser):
    """PyYAML's reader, scanner and parser alone: there is no constructor that a tag could reach."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)


class _Document:
    """One pass over the events of one document."""

    def __init__(self, text: str, file: str, limits: Limits) -> None:
        self.file, self.limits = file, limits
        self.lines = lines(text)
        self.nodes = self.aliases = 0  # seen so far
        self.flow: list[Where] = []  # where each {...} and [...] that is still open begins
        self.anchors: dict[str, Tree | None] = {}  # None: the anchored value is still open
        self.last: yaml.Event | None = None
        try:
            self.events = _Events(text)
        except ReaderError as error:
            raise GraphcError(
                f"character U+{error.character:04X} is not allowed in YAML",
                code="spec/yaml-syntax",
                where=self._full(_where_at(text[: error.position], file)),
                hint="remove it, or write it as an escape in double quotes",
            ) from None

    def root(self) -> MappingNode:
        """The one document of the stream, which must be a mapping."""
        self._next()  # the start of the stream
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            self._fail("the spec is empty", Where(self.file, 1, 1), hint="start with 'graphc: 1'")
        tree = self._node(self._next(), 1)
        self._next()  # the end of the document
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            self._fail("a second document starts here", self._where(event.start_mark), hint="one spec per file")
        if not isinstance(tree, MappingNode):
            self._fail(
                "a spec is a mapping of keys to values",
                tree.where,
                code="spec/bad-type",
                hint="start with 'graphc: 1'",
            )
        return tree

    # ---------------------------------------------------------------- events

    def _next(self) -> yaml.Event:
        try:
            event: yaml.Event = self.events.get_event()  # type: ignore[no-untyped-call]  # the stubs leave it out
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark or self.events.get_mark()
            if (error.problem or "").startswith("expected") and self._unclosed(mark):
                begin = self.flow[-1]
                self._fail(
                    f"the '{begin.text[begin.column - 1]}' is not closed",
                    begin,
                    hint="close it, or put a ',' between its values",
                    notes=[Note("its end is missed", self._where(mark))],
                )
            notes = [Note(error.context or "", self._where(error.context_mark))] if error.context_mark else []
            self._fail(
                error.problem or "not YAML",
                self._where(mark),
                hint=self._syntax_hint(mark, error.problem or ""),
                notes=notes,
            )
        except (ValueError, OverflowError):  # PyYAML hands digits to chr() and int() as they are
            self._fail("a number in an escape or directive is out of range", self._where(self.events.get_mark()))
        self.last = event
        return event

    def _unclosed(self, mark: Mark) -> bool:
        """Whether an open {...} or [...] has run into the end, or into a line that is not indented below it."""
        if not self.flow:
            return False
        begin, here = self.flow[-1], self._where(mark)
        return not here.text or (begin.line < here.line and _indent(here.text) <= _indent(begin.text))

    def _syntax_hint(self, mark: Mark, problem: str) -> str:
        if self.flow and isinstance(self.last, yaml.ScalarEvent) and _is_expression(self.last):
            return QUOTE_THE_EXPRESSION
        text = self._where(mark).text
        if self.flow and isinstance(self.last, yaml.ScalarEvent) and text[mark.column : mark.column + 1] == "[":
            return f'put quotes around it: "{_clip(self.last.value + text[mark.column :].partition("]")[0])}]"'
        if text[mark.column : mark.column + 1] == "\t":
            return "use spaces: YAML forbids tabs here"
        if "mapping values are not allowed" in problem:
            return "put quotes around a text that contains ': ', or check the indentation"
        if "cannot start any token" in problem:
            return "put quotes around a text that starts with this character"
        return "check the indentation, the brackets and the quotes here and on the lines above"

    # ---------------------------------------------------------------- nodes

    def _node(self, event: yaml.Event, depth: int) -> Tree:
        where = self._where(event.start_mark)
        self._count(1, depth, where)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth, where)
        assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)  # all that YAML's grammar leaves
        if event.tag is not None:
            self._fail(
                f"tag '{_clip(event.tag.replace('tag:yaml.org,2002:', '!!'))}' in a spec",
                where,
                code="spec/yaml-tag",
                hint="remove it; put quotes around a text that looks like a number",
            )
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        tree = self._content(event, depth, where)
        if event.anchor is not None:
            self.anchors[event.anchor] = tree
        return tree

    def _content(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, depth: int, where: Where) -> Tree:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, where)
        with self._inside(event):
            if isinstance(event, yaml.MappingStartEvent):
                return self._mapping(depth, where)
            return self._sequence(depth, where)

    @contextmanager
    def _inside(self, event: yaml.CollectionStartEvent) -> Iterator[None]:
        if event.flow_style:
            self.flow.append(self._where(event.start_mark))
        yield
        if event.flow_style:
            self.flow.pop()

    def _sequence(self, depth: int, where: Where) -> SequenceNode:
        items = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return SequenceNode(tuple(items), where)

    def _mapping(self, depth: int, where: Where) -> MappingNode:
        entries: dict[str, Tree] = {}
        keys: dict[str, Where] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._key(event, depth)
            place = self._where(event.start_mark)
            if key in keys:
                self._fail(
                    f"key '{_clip(key)}' is here twice",
                    place,
                    code="spec/duplicate-key",
                    hint="remove one of the two",
                    notes=[Note("first", keys[key])],
                )
            keys[key] = place
            entries[key] = self._node(self._next(), depth + 1)
        return MappingNode(entries, where, keys)

    def _key(self, event: yaml.Event, depth: int) -> str:
        where = self._where(event.start_mark)
        if isinstance(event, yaml.ScalarEvent) and event.value == "<<" and not event.style:
            self._fail(
                "merge key '<<'",
                where,
                code="spec/merge-key",
                hint="use 'extends' to build on another spec, or a block with params",
            )
        tree = self._node(event, depth + 1)
        if not isinstance(tree, ScalarNode) or not isinstance(tree.value, str):
            self._fail("a key must be a text", where, code="spec/bad-type", hint='put quotes around it: "8": ...')
        return tree.value

    def _alias(self, event: yaml.AliasEvent, depth: int, where: Where) -> Tree:
        name = event.anchor or ""
        self.aliases += 1
        if self.aliases > self.limits.spec_aliases:
            self._exceeded(f"{self.limits.spec_aliases} aliases", where, "use a block or 'repeat'")
        if name not in self.anchors:
            self._fail(f"alias '*{_clip(name)}' has no anchor before it", where)
        tree = self.anchors[name]
        if tree is None:
            self._fail(
                f"alias '*{_clip(name)}' is inside the value it names",
                where,
                code="spec/recursive-alias",
                hint="a spec is finite: use 'repeat'",
            )
        nodes, height = _measure(tree)
        self._count(nodes - 1, depth + height - 1, where)
        return tree

    # ---------------------------------------------------------------- scalars

    def _scalar(self, event: yaml.ScalarEvent, where: Where) -> ScalarNode:
        if event.style:
            return ScalarNode(self._text(event.value, where), where, quoted=True)
        if self.flow and _is_expression(event) and not _balanced(event.value):
            self._fail(f"the expression '{_clip(event.value)}' ends too early", where, hint=QUOTE_THE_EXPRESSION)
        return ScalarNode(self._plain(event.value, where), where, written=event.value)

    def _text(self, value: str, where: Where) -> str:
        """A quoted text: escapes may give what may stand in the file; JSON's surrogate pairs are joined."""
        try:
            text = value.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self._fail("half of a surrogate pair", where, hint="write the character itself")
        if found := Reader.NON_PRINTABLE.search(text):
            self._fail(f"character U+{ord(found[0]):04X} is not allowed in a spec", where, hint="remove it")
        return text

    def _plain(self, text: str, where: Where) -> Plain:
        """The value of an unquoted scalar in the YAML 1.2 core schema."""
        if text in WORDS:
            return WORDS[text]
        for pattern, base in INTEGERS:
            if pattern.fullmatch(text):
                return self._integer(text, base, where)
        if FLOAT.fullmatch(text):
            number = float(text)
            if math.isinf(number):
                self._fail(
                    f"{_clip(text)} is beyond float64",
                    where,
                    code="spec/bad-value",
                    hint="write .inf if meant",
                )
            return number
        if found := INFINITY.fullmatch(text):
            return -math.inf if found[1] == "-" else math.inf
        return math.nan if NAN.fullmatch(text) else text

    def _integer(self, text: str, base: int, where: Where) -> int:
        if len(text) > MAX_DIGITS or not -INT64 <= (value := int(text, base)) < INT64:
            self._fail(
                "an integer beyond 64 bits",
                where,
                code="spec/bad-value",
                hint="put quotes around it if it is a text",
            )
        return value

    # ---------------------------------------------------------------- places and refusals

    def _where(self, mark: object) -> Where:
        assert isinstance(mark, Mark)  # what PyYAML's own scanner, unlike its binding to libyaml, gives every event
        return self._full(Where(self.file, mark.line + 1, mark.column + 1))

    def _full(self, where: Where) -> Where:
        """The same place with its source line."""
        text = self.lines[where.line - 1] if where.line <= len(self.lines) else ""
        return Where(where.file, where.line, where.column, text)

    def _count(self, nodes: int, depth: int, where: Where) -> None:
        self.nodes += nodes
        if depth > self.limits.spec_depth:
            self._exceeded(f"{self.limits.spec_depth} levels", where, "move inner parts to blocks")
        if self.nodes > self.limits.spec_nodes:
            self._exceeded(f"{self.limits.spec_nodes} values", where, "use blocks and 'repeat'")

    def _exceeded(self, bound: str, where: Where, hint: str) -> NoReturn:
        self._fail(f"a spec may have {bound}, this one has more", where, code="spec/limit-exceeded", hint=hint)

    def _fail(
        self,
        message: str,
        where: Where,
        *,
        code: str = "spec/yaml-syntax",
        hint: str = "",
        notes: list[Note] | None = None,
    ) -> NoReturn:
        raise GraphcError(message, code=code, where=where, hint=hint, notes=notes or ())


def _measure(tree: Tree) -> tuple[int, int]:
    """(values and keys, levels) of a tree, shared parts counted as often as they appear."""
    if isinstance(tree, ScalarNode):
        return 1, 1
    children = tree.items if isinstance(tree, SequenceNode) else tuple(tree.entries.values())
    sizes = [_measure(child) for child in children]
    keys = len(tree.entries) if isinstance(tree, MappingNode) else 0
    return 1 + keys + sum(nodes for nodes, _ in sizes), 1 + max((height for _, height in sizes), default=0)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _is_expression(event: yaml.ScalarEvent) -> bool:
    return not event.style and event.value.startswith("=")


def _balanced(expression: str) -> bool:
    """Whether every bracket is closed, those inside quoted texts aside."""
    code = QUOTED.sub("", expression)
    return all(code.count(a) == code.count(b) for a, b in ("()", "[]", "{}")) and not set(code) & {"'", '"'}


def _clip(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
