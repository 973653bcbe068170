"""Texts in a model that tell about the machine that made it: home folders, access tokens.

Why    exporters write stack traces and file names into `doc_string` and metadata; they travel to every user, with the
       name of an account and the layout of a build machine, at times with a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import onnx_ir as ir

from graphc import Case, Problem, Subject, lint, save

MARKS = re.compile(
    r"(?P<folder>/(?:home|Users)/[^/\s\"']+/|/root/\S|[A-Za-z]:\\+Users\\+[^\\\s]+)"
    r"|(?P<token>\b(?:ghp_|gho_|github_pat_|hf_|sk-|xox[bp]-|AKIA)[A-Za-z0-9_-]{16,})"
)
LONGEST = 1 << 16  # characters of one text that are searched
SHOWN = 40


@lint(
    category="security",
    severity="warning",
    help="strip the texts before it is published: run the pass clear-metadata-and-doc-string",
    fix="clear-metadata-and-doc-string",
)
def path_in_metadata(subject: Subject) -> Iterator[Problem]:
    if not subject.is_model:
        return
    found = [(place, mark) for place, text in _texts(subject.model) if (mark := MARKS.search(text[:LONGEST]))]
    if found:
        place, mark = found[0]
        kind = "an access token" if mark["token"] else f"the folder '{mark[0][:SHOWN]}'"
        more = f", and {len(found) - 1} other texts tell such things" if len(found) > 1 else ""
        yield Problem(f"{place} names {kind}{more}", measured=len(found))


def _texts(model: ir.Model) -> Iterator[tuple[str, str]]:
    """Every free text of a model, with where it stands."""
    yield "the model's doc_string", model.doc_string or ""
    yield from ((f"metadata '{key}' of the model", value) for key, value in model.metadata_props.items())
    graphs: list[ir.Graph | ir.Function] = [model.graph, *model.functions.values()]
    for graph in graphs:
        yield f"doc_string of '{graph.name}'", graph.doc_string or ""
        yield from ((f"metadata '{key}' of '{graph.name}'", value) for key, value in graph.metadata_props.items())
        for node in graph:
            yield f"doc_string of node '{node.name}'", node.doc_string or ""
            yield from (
                (f"metadata '{key}' of node '{node.name}'", value) for key, value in node.metadata_props.items()
            )


def _told(folder: Path, text: str, key: str = "note") -> Path:
    model = Case("a model", lambda g: g.Sigmoid(g.input(1, 3, 8, 8))).model()
    model.metadata_props[key] = text
    path = folder / "net.onnx"
    save(model, path)
    return path


@path_in_metadata.bad
def a_home_folder(folder: Path) -> Path:
    return _told(folder, "exported from /home/ada/projects/net.py, line 3")


@path_in_metadata.bad
def a_home_folder_of_windows(folder: Path) -> Path:
    return _told(folder, "C:\\Users\\ada\\net.py")


@path_in_metadata.bad
def a_token(folder: Path) -> Path:
    return _told(folder, "downloaded with hf_" + "x" * 32)


@path_in_metadata.good
def a_relative_path(folder: Path) -> Path:
    return _told(folder, "specs/can.yaml:24, see https://example.org/home/readme")
