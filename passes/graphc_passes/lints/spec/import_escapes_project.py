"""A file that a spec names outside of its project, or on the net.

Why    a spec is untrusted: it may read what lies beside it, and not the rest of the disk.
"""

from __future__ import annotations

from graphc import reported

import_escapes_project = reported("spec/import-escapes-project", help="copy the file into the project")


@import_escapes_project.bad
def by_its_path() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        imports: {vgg: ../../vgg16.yaml}
        nodes:
          - {id: y, op: vgg}
    """


@import_escapes_project.bad
def by_a_url() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        imports: {vgg: "https://example.org/vgg16.yaml"}
        nodes:
          - {id: y, op: vgg}
    """


@import_escapes_project.bad
def weights() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, conv: 4}
        weights: {npz: /weights/net.npz}
    """


@import_escapes_project.good
def no_file() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu}
    """
