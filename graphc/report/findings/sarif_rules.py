"""The lints as SARIF's rules, each with its page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from graphc.errors import clean

if TYPE_CHECKING:
    from graphc.linting.lint import Lint
from graphc.report.page import sentence

HEADED = re.compile(r"(?P<heading>[A-Z]\w*) {2,}(?P<text>.*)")  # "Why    the mean that the norm subtracts ..."
MARKDOWN = re.compile(r"[\\*_<>\[\]&#]")
CODE = re.compile(r"(`[^`]*`)")


def message(*lines: str) -> dict[str, str]:
    """Lines as SARIF's message, in which nothing is a placeholder or a link."""
    return {"text": "\n".join(_literal(clean(line)) for line in lines if line) or "?"}


def rules(names: Iterable[str], levels: Mapping[str, str]) -> list[dict[str, Any]]:
    """The rules of these lints, in order."""
    from graphc.linting.lint import lints  # it imports all of them

    known = lints()
    return [_rule(known[name], levels) if name in known else _nameless(name) for name in names]


def _nameless(code: str) -> dict[str, Any]:
    """What a reader says and no lint explains. Code scanning demands the texts."""
    text = message(code)
    return {"id": clean(code), "shortDescription": text, "fullDescription": text, "help": text}


def _rule(lint: Lint, levels: Mapping[str, str]) -> dict[str, Any]:
    parts = [_paragraph(part) for part in (*lint.doc.split("\n\n"), f"Help    {lint.help}") if part.strip()]
    return {
        "id": lint.name,
        "shortDescription": message(sentence(lint.doc) or lint.name),
        "fullDescription": message(_joined(*parts[0])),
        "help": {
            **message(*(_joined(*part) for part in parts)),
            "markdown": _literal("\n\n".join(_marked(*part) for part in parts)),
        },
        "defaultConfiguration": {"level": levels[lint.severity]},
        "properties": {"tags": [lint.category]},
    }


def _paragraph(text: str) -> tuple[str, str]:
    """Its heading, if it has one, and its text on one line."""
    line = " ".join(text.strip().split("\n"))
    found = HEADED.match(line)
    heading, rest = (found["heading"], found["text"]) if found else ("", line)
    return heading, " ".join(rest.split())


def _joined(heading: str, text: str) -> str:
    return f"{heading}: {text}" if heading else text


def _marked(heading: str, text: str) -> str:
    """As Markdown, in which only code between backticks is markup."""
    pieces = CODE.split(clean(text))
    shown = "".join(each if CODE.fullmatch(each) else MARKDOWN.sub(r"\\\g<0>", each) for each in pieces)
    return f"**{heading}:** {shown}" if heading else shown


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}").replace("](", "] (")
