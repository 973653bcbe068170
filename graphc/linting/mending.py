"""Applies the fixes of findings: edits of text, and passes on models, which are verified before they are written."""

from __future__ import annotations

import difflib
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from graphc.errors import GraphcError
from graphc.files import LINE_BREAK, MARK, lines, overwrite
from graphc.limits import Limits
from graphc.linting.finding import Edit, Finding
from graphc.naming import is_model
from graphc.runtime.worker import messages

TEXT_BYTES = 1 << 22


@dataclass(frozen=True)
class Mended:
    """What was done to one file, or would be: `diff` shows it; `refused` says why nothing was."""

    file: str
    fixed: int
    diff: str = ""
    refused: str = ""


def mend(
    findings: Iterable[Finding], quiet: Iterable[Finding] = (), *, unsafe: bool, write: bool, limits: Limits
) -> Iterator[Mended]:
    """Apply the safe fixes, with `unsafe` all of them, file by file; without `write` only show what would change.

    A node with a `quiet` finding, which a suppression or a baseline keeps from being told, stays as it is.
    """
    fixable = [each for each in findings if each.fix is not None and (each.fix.safe or unsafe)]
    edits: dict[str, list[Edit]] = {}
    passes: dict[str, list[str]] = {}
    wanted: Counter[str] = Counter()  # findings that passes are to remove, by model
    for each in fixable:
        assert each.fix is not None
        for edit in each.fix.edits:
            edits.setdefault(edit.file, []).append(edit)
        if is_model(each.file) and each.fix.passes:
            passes.setdefault(each.file, []).extend(each.fix.passes)
            wanted[each.file] += 1
    for file, changes in edits.items():
        yield _edit(Path(file), list(dict.fromkeys(changes)), write)
    spared: dict[str, dict[str, list[str]]] = {}  # by model and pass: the nodes that it leaves as they are
    for each in quiet:
        for name in each.fix.passes if each.fix is not None and each.node else ():
            spared.setdefault(each.file, {}).setdefault(name, []).append(each.node)
    for file, names in passes.items():
        yield _rewrite(file, list(dict.fromkeys(names)), spared.get(file, {}), wanted[file], write, limits)


def _edit(path: Path, edits: Sequence[Edit], write: bool) -> Mended:
    try:
        with path.open("rb") as stream:
            before = stream.read(TEXT_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return Mended(str(path), 0, refused=f"it cannot be read: {error}")
    if path.is_symlink() or path.stat().st_size > TEXT_BYTES:
        return Mended(str(path), 0, refused="it is a link, or too large to be a spec")
    after, made = edited(before, edits)
    diff = "".join(
        difflib.unified_diff(before.splitlines(keepends=True), after.splitlines(keepends=True), str(path), str(path))
    )
    if write and after != before:
        overwrite(path, after)
    return Mended(str(path), made, diff)


def edited(text: str, edits: Iterable[Edit]) -> tuple[str, int]:
    """The text with these edits, and how many were made: not those whose line has changed or that overlap another."""
    found: list[str | None] = list(lines(text))
    ends = [*LINE_BREAK.findall(text), ""]
    made = 0
    reach: dict[int, int] = {}  # line: the column that edits of it have come down to
    for edit in sorted(edits, key=lambda each: (each.line, each.start), reverse=True):
        line = found[edit.line - 1] if 0 < edit.line <= len(found) else None
        if line is None or line[edit.start - 1 : edit.end - 1] != edit.old or edit.end > reach.get(edit.line, edit.end):
            continue
        changed = line[: edit.start - 1] + edit.new + line[edit.end - 1 :]
        found[edit.line - 1] = None if line.strip() and not changed.strip() else changed
        reach[edit.line] = edit.start
        made += 1
    kept = "".join(line + end for line, end in zip(found, ends, strict=True) if line is not None)
    return (MARK if text.startswith(MARK) else "") + kept, made


# ---------------------------------------------------------------- models, in a worker


def _rewrite(
    file: str, passes: Sequence[str], spared: Mapping[str, Sequence[str]], wanted: int, write: bool, limits: Limits
) -> Mended:
    """The fix is written into a folder of this process, so that nothing is left of a worker that died over it."""
    request = {"file": file, "passes": passes, "spared": spared, "limits": asdict(limits)}
    try:
        with tempfile.TemporaryDirectory(prefix=".graphc-", dir=Path(file).parent if write else None) as room:
            asked = {**request, "room": room if write else None}
            (found,) = messages(__name__, asked, seconds=limits.worker_seconds, address_space=limits.worker_bytes)
            if write and not found["refused"]:
                from graphc.model import put_in_place

                put_in_place(Path(room), Path(file), with_data=found["with_data"])
    except GraphcError as error:
        return Mended(file, 0, refused=error.message)
    except OSError as error:
        return Mended(file, 0, refused=f"it cannot be written: {error.strerror or error}")
    return Mended(file, 0 if found["refused"] else wanted, found["diff"], found["refused"])


def main(request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The worker's side: run the passes, compare the models on ONNX Runtime, write what was made into the `room`.

    What went wrong is `refused`; `with_data` says that the old model has a data file, which goes with it.
    """
    from graphc.compilation import compile
    from graphc.linting.identity import path_of
    from graphc.model import INLINE_BYTES, data_file, data_files, load, lost, put_into, require_writable
    from graphc.pipeline import parse, rewrites
    from graphc.rewriting import spare

    file, passes = request["file"], request["passes"]
    spared: dict[str, set[str]] = {}  # by the name of the pass, whatever options a fix runs it with
    own = data_file(Path(file))
    limits = Limits(**request["limits"])
    try:
        model = load(file, limits=limits)
        for what in lost(model):
            raise GraphcError(f"it would lose {what}, which graphc does not carry over", code="run/usage")
        require_writable(Path(file), own, sources=[file], force=True)
        read = data_files(model)
        for other in sorted(path.name for path in read if path.resolve() != own.resolve()):
            why = f"its weights lie in '{other}', which may not be its alone: build it under another name"
            raise GraphcError(why, code="run/usage")
        for text, nodes in request["spared"].items():
            for name, _ in parse(text):
                spared.setdefault(name, set()).update(nodes)
        asked = {name for text in passes for name, _ in parse(text)}
        for name in sorted(asked & spared.keys() - rewrites().keys()):
            why = f"{name} is a pass over all nodes, and findings that it would remove are suppressed or known"
            raise GraphcError(why, code="run/usage")
        with spare(lambda name, node: path_of(node) in spared.get(name, ())):
            made = compile(model, pipeline=",".join(passes), limits=limits)
        if request["room"] is not None:
            put_into(Path(request["room"]), made.model, name=Path(file).name, inline_bytes=INLINE_BYTES)
    except (GraphcError, OSError) as error:
        yield {"diff": "", "refused": error.message if isinstance(error, GraphcError) else str(error)}
        return
    before, after = len(made.original.graph), len(made.model.graph)
    diff = f"{file}: {', '.join(passes)}: {before} nodes become {after}\n"
    yield {"diff": diff, "refused": "", "with_data": bool(read)}
