"""The file that a finding is in, as a report names it: never with the home directory of whoever ran graphc."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path, PurePath

from graphc.linting.finding import Finding
from graphc.linting.report import file_of

CHECKOUTS = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")  # where GitHub and GitLab keep the repository


def path_of(finding: Finding) -> str:
    """The file that a finding is in, as it was named; a spec without its variant."""
    return finding.where.file if finding.where else file_of(finding.file)


def from_root(path: str) -> str | None:
    """A file as its repository names it, with `/`; None for one outside of it, or none.

    The repository is the checkout of the CI system if this process works inside it, or else the working directory.
    """
    if not path:
        return None
    with suppress(OSError, ValueError):
        root = _root()
        for absolute in (os.path.abspath(path), os.path.realpath(path)):
            if Path(absolute).is_relative_to(root):
                return PurePath(absolute).relative_to(root).as_posix()
    return None


def shown(path: str) -> str:
    """A file as its repository names it; of one outside of it only the name. Empty where there is no file."""
    return from_root(path) or PurePath(path).name


def shown_source(source: str) -> str:
    """A source as its repository names it, with the variant."""
    file = file_of(source)
    return shown(file) + source[len(file) :]


def _root() -> Path:
    here = Path.cwd()
    for name in CHECKOUTS:
        checkout = os.environ.get(name)
        if checkout and here.is_relative_to(os.path.realpath(checkout)):
            return Path(os.path.realpath(checkout))
    return here
