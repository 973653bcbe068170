"""A run of `graphc lint`: the files that it is about, each linted in a worker, against a baseline.

The worker does everything that touches a file's content. When it dies, the look that killed it is a finding, and a new
worker goes on without that look.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from graphc import linting
from graphc.errors import GraphcError
from graphc.files import BREAKS, MARK
from graphc.limits import DEFAULT, Limits
from graphc.linting import baseline
from graphc.linting.finding import DIED, FAILED, Finding, at_least
from graphc.linting.messages import FINDING, READING, Examined, job
from graphc.linting.report import LintReport, file_of
from graphc.linting.settings import COMMAND_LINE, FailOn, Layer, Resolved, Settings, nearest, resolve
from graphc.naming import SPECS, is_model, require_source, split_source
from graphc.runtime.worker import Worker, WorkerDiedError

DEATHS = 3  # of workers over one file, after which the rest of it is not analysed
SPEC = re.compile(rf"{MARK}?(?:(?:[ \t]*(?:#[^{BREAKS}]*)?|---[^{BREAKS}]*)[{BREAKS}])*[\"']?graphc[\"']?\s*:")
HEAD = 1 << 14  # bytes of a file in which a spec says that it is one
SKIPPED = frozenset({"node_modules", "__pycache__", "build", "dist"})  # folders, besides hidden ones

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What a run found, what of that the baseline holds already (`known`), and whether it `fails`.

    It does where a file has a new finding as bad as the settings of that file say, or worse.
    """

    report: LintReport
    fails: bool
    found: tuple[Finding, ...]  # the baseline's included
    quiet: tuple[Finding, ...] = ()  # what suppressions or the baseline keep from being told
    known: tuple[baseline.Entry, ...] = ()  # entries of the baseline that are still found
    baseline: Path | None = None


def run(
    sources: Sequence[str],
    flags: Settings,
    *,
    limits: Limits = DEFAULT,
    making_baseline: bool = False,
    worker: Worker | None = None,
    say: Progress = lambda text: None,
) -> Outcome:
    """Lint specs, models, and all of both in folders.

    `flags` go before the nearest config file, which goes before a spec. A baseline need not be there yet when it is
    `making_baseline`. The first `worker` may be one that has begun already. Raises GraphcError (run/usage,
    run/unknown-selector, run/file-not-found for a baseline) for what the caller or a config file says wrongly.
    """
    start = time.perf_counter()
    files = list(dict.fromkeys(file for source in sources for file in collected(source)))
    if not files:
        message = f"there is no spec and no model in {', '.join(sources)}"
        raise GraphcError(message, code="run/file-not-found", hint="name the files, or the folder that holds them")
    jobs = {file: layers_of(file, flags) for file in files}
    examined = dict(_examined(jobs, limits, say, worker))
    found = tuple(finding for each in examined.values() for finding in each.findings)
    resolved = {file: resolve(layers) for file, layers in jobs.items()}
    path = resolved[files[0]].path("baseline", files[0])
    known, kept, new = list[baseline.Entry](), list[baseline.Entry](), list(found)
    if path is not None and not making_baseline:
        known = baseline.read(path)
        new, kept = baseline.compared(found, known, path)
        looked = {name for each in examined.values() for name in each.looked}
        new += baseline.stale(known, kept, path, files, looked)
    report = LintReport(
        tuple(new),
        tuple(files),
        suppressed=sum(len(each.suppressed) for each in examined.values()),
        baselined=len(kept),
        seconds=time.perf_counter() - start,
    )
    bounds = {file: each.settings.fail_on for file, each in resolved.items()}
    fails = any(_fails(finding, bounds, bounds[files[0]]) for finding in new)
    quiet = [finding for each in examined.values() for finding in each.suppressed]
    told = {id(finding) for finding in new}
    quiet += [finding for finding in found if id(finding) not in told]
    return Outcome(report, fails, found, tuple(quiet), tuple(kept), path)


def _fails(finding: Finding, bounds: Mapping[str, FailOn], otherwise: FailOn) -> bool:
    """Whether a finding is as bad as the settings of its file allow no more."""
    bound = bounds.get(finding.file, bounds.get(file_of(finding.file), otherwise))
    return bound != "never" and at_least(finding.severity, bound)


def layers_of(file: str, flags: Settings) -> list[Layer]:
    """What goes before the settings of a spec or a model itself: the nearest config file, and before that the flags.

    Raises GraphcError for a config file that is wrong.
    """
    project = nearest(Path(file))
    return [*([] if project is None else [project]), Layer(COMMAND_LINE, flags)]


def settings_of(file: str, flags: Settings) -> Resolved:
    """The settings of one file, those of its own spec included. A model has none, and is not opened.

    Raises GraphcError as `run`.
    """
    from graphc.linting.subject import opened  # it can expand a spec, which this process does for nobody else

    layers = layers_of(file, flags)
    return resolve(layers) if is_model(file) else opened(file, layers).resolved


# ---------------------------------------------------------------- files


def collected(source: str) -> Iterator[str]:
    """A spec or a model as it is named; of a folder all that it holds, at any depth, sorted.

    Raises GraphcError (run/usage) for a file of another kind.
    """
    if not Path(source).is_dir():
        require_source(split_source(source)[0])
        yield os.path.normpath(source)
        return
    for folder, inner, names in os.walk(source):
        inner[:] = sorted(name for name in inner if not name.startswith(".") and name not in SKIPPED)
        for name in sorted(names):
            path = Path(folder, name)
            if (is_model(path) and path.is_file()) or (path.suffix in SPECS and _is_spec(path)):
                yield str(path)


def _is_spec(path: Path) -> bool:
    """Whether a YAML file says that it is a spec: `graphc:` is its first key."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            return SPEC.match(stream.read(HEAD).decode("utf-8", "replace")) is not None
    except OSError:
        return False


# ---------------------------------------------------------------- workers


def _examined(
    jobs: Mapping[str, list[Layer]], limits: Limits, say: Progress, worker: Worker | None
) -> Iterator[tuple[str, Examined]]:
    """What is told of each file, in their order, by `worker` and by new ones after its death."""
    left, plugins = list(jobs), set[str]()
    deaths: list[tuple[str, WorkerDiedError]] = []  # over the first file that is left: the look that did it, and how
    while left:
        looking, heard = READING, list[Finding]()
        skip = frozenset(look for look, _ in deaths)
        say(left[0])
        try:
            for message in _messages(left, jobs, skip, limits, worker):
                if "error" in message:
                    raise GraphcError(**message["error"])
                if "look" in message:
                    looking = message["look"]
                elif "finding" in message:
                    heard.append(FINDING.validate_python(message["finding"]))
                else:
                    told, quiet = (
                        [FINDING.validate_python(each) for each in message[name]] for name in ("done", "suppressed")
                    )
                    told += [_death(left[0], *each) for each in deaths]
                    told += [_finding(FAILED, text, text) for text in message["plugins"] if text not in plugins]
                    plugins.update(message["plugins"])
                    yield left.pop(0), Examined(tuple(told), tuple(quiet), frozenset(message["looked"]))
                    looking, heard, deaths = READING, [], []
                    say(left[0] if left else "")
            if left:
                raise WorkerDiedError("it stopped early")
        except WorkerDiedError as error:
            worker = None
            deaths.append((looking, error))
            if left and (looking == READING or len(deaths) == DEATHS):
                yield left[0], Examined((*heard, *(_death(left.pop(0), *each) for each in deaths[-1:])))
                deaths = []


def _messages(
    left: Sequence[str],
    jobs: Mapping[str, list[Layer]],
    skip: frozenset[str],
    limits: Limits,
    worker: Worker | None,
) -> Iterator[Any]:
    """What a worker, a new one if there is none, says of the files that are left; `skip` is for the first of them."""
    asked = [job(file, jobs[file], frozenset() if index else skip) for index, file in enumerate(left)]
    request = {"limits": asdict(limits), "jobs": asked}
    with Worker(linting.CHILD) if worker is None else nullcontext(worker) as used:
        yield from used.messages(
            request, seconds=limits.worker_seconds, address_space=limits.worker_bytes, tasks=len(left)
        )


def _death(file: str, looking: str, error: WorkerDiedError) -> Finding:
    """A worker's death as a finding."""
    doing = "it was read" if looking == READING else f"{looking} looked at it"
    return _finding(DIED, f"the worker died while {doing}: {error.message}", looking, file)


def _finding(name: str, message: str, content: str, file: str = "") -> Finding:
    """A finding about the run itself."""
    from graphc.linting.lint import lints  # this process needs none of them but here

    lint = lints()[name]
    return Finding(name, lint.severity, message, help=lint.help, content=content, file=file)
