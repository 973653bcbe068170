"""A report of tables that is written once and set three times: as plain text, as Markdown, as one HTML page.

Names and reasons come from untrusted files, so each form cleans and escapes every cell. The HTML page needs nothing
but itself: no script, no font, no image, and it forbids the browser to load any.
"""

from __future__ import annotations

import html as escaping
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from graphc.errors import clean
from graphc.report.bars import bar
from graphc.report.page import paragraphs
from graphc.report.quantity import quantity
from graphc.report.table import table


@dataclass(frozen=True)
class Name:
    """The name of something in a model, set as code, and what it is."""

    text: str
    what: str = ""


@dataclass(frozen=True)
class Count:
    """A number with its unit, or a plain count. `at_least` so much: not all of it is known.

    Text shows three digits of what has a unit, Markdown all of them, HTML both.
    """

    value: int
    unit: str
    at_least: bool = False

    @property
    def short(self) -> str:
        """`≥ 1.81 GMAC`"""
        return self._bound + quantity(self.value, self.unit) if self.unit else self.exact

    @property
    def exact(self) -> str:
        """`≥ 1,814,073,344 MAC`"""
        return f"{self._bound}{self.value:,} {self.unit}".rstrip()

    @property
    def _bound(self) -> str:
        return "≥ " if self.at_least else ""


@dataclass(frozen=True)
class Bar:
    """A bar as long as that share, from 0 to 1, of the longest; in text that one has `width` characters."""

    share: float
    width: int = 12


Cell: TypeAlias = str | Name | Count | Bar


@dataclass(frozen=True)
class Table:
    """`sides` has `<` or `>` per column, the side that its cells stand on; `head` may be empty; `notes` stand below."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    sides: str
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Sheet:
    """A title, a few lines, and tables."""

    title: str
    facts: Sequence[str]
    tables: Sequence[Table]


# ---------------------------------------------------------------- text


def text(sheet: Sheet) -> str:
    """Columns that line up."""
    facts = "\n".join(clean(line) for line in (sheet.title, *sheet.facts))
    return paragraphs(facts, *map(_text_table, sheet.tables))


def _text_table(of: Table) -> str:
    cells = [*([of.head] if of.head else ()), *([_text_cell(cell) for cell in row] for row in of.rows)]
    notes = "\n".join(clean(note) for note in of.notes)
    return "\n".join(filter(None, (f"{clean(of.title)}:", table(cells, of.sides), notes)))


def _text_cell(cell: Cell) -> str:
    if isinstance(cell, Bar):
        return bar(cell.share, cell.width)
    if isinstance(cell, Name):
        return ": ".join(filter(None, (cell.text, cell.what)))
    return cell.short if isinstance(cell, Count) else cell


# ---------------------------------------------------------------- Markdown

MARKUP = re.compile(r"[#$&*<>@\[\\\]`{|}~]|:(?=/)|(?<![^\W_])_|_(?![^\W_])")  # what Markdown would take for its own


def markdown(sheet: Sheet) -> str:
    """Headings and pipe tables."""
    facts = "\n".join(f"- {_escaped(line)}" for line in sheet.facts)
    return paragraphs(f"# {_escaped(sheet.title)}", facts, *map(_markdown_table, sheet.tables))


def _markdown_table(of: Table) -> str:
    rule = ["---:" if side == ">" else "---" for side in of.sides]
    head = [_escaped(cell) for cell in of.head] or [""] * len(of.sides)
    rows = [head, rule, *([_markdown_cell(cell) for cell in row] for row in of.rows)]
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return paragraphs(f"## {_escaped(of.title)}", lines, *map(_escaped, of.notes))


def _markdown_cell(cell: Cell) -> str:
    if isinstance(cell, Bar):
        return bar(cell.share, cell.width)
    if isinstance(cell, Count):
        return cell.exact
    return _named(cell, _escaped) if isinstance(cell, Name) else _escaped(cell)


def _escaped(text: str) -> str:
    return MARKUP.sub(lambda found: f"&#{ord(found[0])};", clean(text))


# ---------------------------------------------------------------- HTML

STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 82rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .75rem; text-align: left; }
td { border-top: 1px solid color-mix(in srgb, currentColor 15%, Canvas); }
.right { text-align: right; white-space: nowrap; }
.bar { min-width: 8rem; } .bar div { height: .8em; background: #3b82c4; border-radius: 2px; }
code { font-size: .92em; overflow-wrap: anywhere; }
""".strip()
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html(sheet: Sheet) -> str:
    """One page; the exact number shows where the pointer rests on a short one."""
    facts = "\n".join(f"<p>{_entities(line)}</p>" for line in sheet.facts)
    tables = "\n".join(map(_html_table, sheet.tables))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{_entities(sheet.title)}</title>
<style>
{STYLE}
</style>
</head>
<body>
<h1>{_entities(sheet.title)}</h1>
{facts}
{tables}
</body>
</html>"""


def _html_table(of: Table) -> str:
    cells = "".join(f"<th{_side(side)}>{_entities(cell)}</th>" for cell, side in zip(of.head, of.sides, strict=False))
    head = f"<thead><tr>{cells}</tr></thead>\n" if cells else ""
    rows = ["".join(map(_html_cell, row, of.sides)) for row in of.rows]
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    notes = "".join(f"\n<p>{_entities(note)}</p>" for note in of.notes)
    return f"""<h2>{_entities(of.title)}</h2>
<div class="wide"><table>
{head}<tbody>
{body}
</tbody>
</table></div>{notes}"""


def _html_cell(cell: Cell, side: str) -> str:
    if isinstance(cell, Bar):
        return f'<td class="bar"><div style="width:{100 * cell.share:.1f}%"></div></td>'
    if isinstance(cell, Count):
        return f'<td class="right" title="{cell.exact}">{cell.short}</td>'
    found = _named(cell, _entities) if isinstance(cell, Name) else _entities(cell)
    return f"<td{_side(side)}>{found}</td>"


def _named(cell: Name, escape: Callable[[str], str]) -> str:
    """In Markdown as in HTML."""
    return " ".join(filter(None, (cell.text and f"<code>{escape(cell.text)}</code>", escape(cell.what))))


def _side(side: str) -> str:
    return ' class="right"' if side == ">" else ""


def _entities(text: str) -> str:
    return escaping.escape(clean(text))


SETTERS: Mapping[str, Callable[[Sheet], str]] = {"text": text, "md": markdown, "html": html}  # by format
