"""The merge key `<<`.

Why    YAML 1.2 has no merge key, and readers that know it disagree about which value wins.
"""

from __future__ import annotations

from graphc import reported

merge_key = reported("spec/merge-key", help="use 'extends' to build on another spec, or a block with params")


@merge_key.bad
def variants_of_a_variant() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        params: {scale: 2, mode: nearest}
        variants:
          x2: &x2 {mode: linear}
          x4: {<<: *x2, scale: 4}
        nodes:
          - {id: y, resize: {scale: =scale, mode: =mode}}
    """


@merge_key.good
def written_out() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        params: {scale: 2, mode: nearest}
        variants:
          x2: {mode: linear}
          x4: {mode: linear, scale: 4}
        nodes:
          - {id: y, resize: {scale: =scale, mode: =mode}}
    """
