"""Channels that the number of groups, heads or sections does not divide.

Why    every group has as many channels as any other: ONNX and every runtime refuse the rest.
"""

from __future__ import annotations

from graphc import reported

groups_do_not_divide = reported("spec/groups-do-not-divide", help="make the channels a multiple of the groups")


@groups_do_not_divide.bad
def four_channels_in_three_groups() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, conv: {out: 6, groups: 3}}
    """


@groups_do_not_divide.good
def four_channels_in_two_groups() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, conv: {out: 6, groups: 2}}
    """
