"""A tensor whose data file is a link, or has a second name.

Why    a link leads out of the folder that a path seems to stay in, and a hard link to a private file passes every test
       of its path: ONNX Runtime reads it (CVE-2026-27489, CVE-2026-34446).
"""

from __future__ import annotations

from pathlib import Path

from graphc import reported
from graphc_passes.lints.security._models import external

symlink_or_hardlink = reported("security/symlink-or-hardlink", help="put a copy of the data beside the model")


@symlink_or_hardlink.bad
def a_symbolic_link(folder: Path) -> Path:
    path = external(folder, "link")
    (path.parent / "link").symlink_to(folder / "secret")
    return path


@symlink_or_hardlink.bad
def a_hard_link(folder: Path) -> Path:
    path = external(folder, "link")
    (path.parent / "link").hardlink_to(folder / "secret")
    return path


@symlink_or_hardlink.bad
def a_linked_folder(folder: Path) -> Path:
    path = external(folder, "linked/secret")
    (path.parent / "linked").symlink_to(folder)
    return path


@symlink_or_hardlink.good
def a_plain_file(folder: Path) -> Path:
    return external(folder)
