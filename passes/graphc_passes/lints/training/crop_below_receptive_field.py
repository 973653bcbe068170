"""Training inputs that are smaller than what an output looks at.

That is the effective receptive field: some 95 % of what an output depends on if all taps weigh the same, far less than
the outermost pixel that could matter. Of networks whose operators keep positions; the dims are at their preferred
sizes.

Why    even in the middle of the crop a good part of what the filters read is padding. The network learns what there is
       at borders, and meets inputs in use that look different to it (Chu et al. 2022).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import graphc
from graphc import Problem, Subject, lint


@lint(
    on="spec",
    category="training",
    severity="info",
    help="train on larger crops, with valid convolutions, or with smaller dilations",
)
def crop_below_receptive_field(subject: Subject) -> Iterator[Problem]:
    network = subject.expanded
    if network.training is None or not network.training.losses:
        return
    for output, fields in graphc.receptive_fields(network).items():
        crop = graphc.preferred_sizes(network, fields.input)[2:]
        widths = [axis.width for axis in fields.axes]
        maps = max(graphc.preferred_sizes(network, output)[2:]) > 1
        if maps and any(width > size for width, size in zip(widths, crop, strict=True)):
            yield Problem(
                f"an output looks at some {_by(map(round, widths))} positions of '{fields.input.name}',"
                f" and training shows it {_by(crop)}",
                at=output.producer(),
                measured=round(max(widths)),
                limit=min(crop),
            )


def _by(sizes: Iterable[int]) -> str:
    return " x ".join(map(str, sizes))


@crop_below_receptive_field.bad
def dilated_on_a_small_crop() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 8, 24, 24]"}
        outputs: [y]
        nodes:
          - repeat: {d: [1, 2, 4, 8]}
            do: [{conv: {out: 8, dilation: =d, act: relu}}]
          - {id: y, conv: 8}
        train:
          inputs: {target: "f32[1, 8, 24, 24]"}
          losses: [{op: mse, from: [y, target]}]
    """


@crop_below_receptive_field.good
def on_a_larger_crop() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 8, 64, 64]"}
        outputs: [y]
        nodes:
          - repeat: {d: [1, 2, 4, 8]}
            do: [{conv: {out: 8, dilation: =d, act: relu}}]
          - {id: y, conv: 8}
        train:
          inputs: {target: "f32[1, 8, 64, 64]"}
          losses: [{op: mse, from: [y, target]}]
    """
