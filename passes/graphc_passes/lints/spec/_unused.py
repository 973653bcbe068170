"""What a spec declares and nothing reads, as problems with the edit that takes it away."""

from __future__ import annotations

from collections.abc import Container, Iterator

from graphc import Declared, Edit, Fix, Problem, Subject, Where


def unused(subject: Subject, *kinds: str) -> Iterator[Problem]:
    """Everything of these kinds that the spec's own file declares and never reads."""
    given = {name for values in subject.expanded.spec.variants.values() for name in values}
    for each in subject.expanded.unread():
        if each.kind in kinds and each.where.file == subject.tree.where.file:
            what = f"{each.kind} '{each.name}'" + (f" of block '{each.block}'" if each.block else "")
            does = "calls" if each.kind in ("block", "import") else "reads"
            yield Problem(f"nothing {does} {what}", at=each.where, fix=_fix(subject, each, given))


def _fix(subject: Subject, each: Declared, given: Container[str]) -> Fix | None:
    """Its removal, where it is one line that no call and no variant relies on; unsafe where others may set it."""
    if each.section is None or len(each.section.keys) < 2 or "&" in each.where.text:
        return None  # an empty section is none, and an anchor may be named elsewhere
    if each.kind == "parameter" and (each.block or each.name in given):
        return None
    alone = not each.where.text[: each.where.column - 1].strip()
    columns = _whole(subject, each.where) if alone else each.columns
    if columns is None:
        return None
    start, end = columns
    edit = Edit(each.where.file, each.where.line, start, end, each.where.text[start - 1 : end - 1])
    return Fix(f"remove '{each.name}'", safe=each.kind not in ("parameter", "dimension"), edits=(edit,))


def _whole(subject: Subject, where: Where) -> tuple[int, int] | None:
    """The columns of the line, unless the next one goes on with it."""
    lines = subject.lines(where.file)[where.line - 1 :]
    following = next((line for line in lines[1:] if line.strip()), "")
    deeper = len(following) - len(following.lstrip()) >= where.column
    goes_on = deeper or following.lstrip().startswith("- ")
    return (1, len(where.text) + 1) if lines[:1] == [where.text] and not goes_on else None
