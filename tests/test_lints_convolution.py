"""Lints of convolutions: they agree with the rewrites that they name, and with loops over the definition."""

from __future__ import annotations

from collections import Counter
from itertools import product
from pathlib import Path
from random import Random

import numpy as np
import onnx_ir as ir
import pytest
from light import load_light

from graphc import Case, CaseBuilder, Pipeline, findings, lints
from graphc.linting.engine import settings_of
from graphc.linting.finding import NOT_ANALYSED
from graphc.linting.lint import Lint, LintCase
from graphc.pipeline import find_rewrite

LINTS = {name: each for name, each in lints().items() if each.category == "convolution"}
DEPLOYED = {  # that speak wherever one of these rewrites would fire, however little is at stake
    "convolution/unfolded-batchnorm": ("fold-batchnorm-into-conv", "fold-batchnorm-into-next-conv"),
    "convolution/unfolded-affine": ("fold-affine-into-conv",),
    "convolution/unfolded-adaptive-norm": ("fold-adaptive-norm-into-conv",),
    "convolution/unmerged-branches": ("fuse-parallel-convs",),
    "convolution/unrecognised-shuffle": ("replace-channel-shuffle-with-gather", "replace-reshape-with-depth-to-space"),
}


def of_lint(name: str, model: ir.Model | Path) -> list[str]:
    return [found.message for found in findings(model, name) if found.lint == name]


# ---------------------------------------------------------------- lint and rewrite


def mendable() -> list[object]:
    return [
        pytest.param(each, case, id=f"{name}-{case.name}")
        for name, each in LINTS.items()
        for case in each.bad_cases
        if case.kind == "model"
    ]


@pytest.mark.parametrize(("each", "case"), mendable())
def test_the_passes_that_it_names_remove_the_finding(each: Lint, case: LintCase) -> None:
    model, settings = case.model(), settings_of(case)
    found = findings(model, each.name, settings=settings)
    passes = [name for finding in found if finding.fix is not None for name in finding.fix.passes]
    assert passes or not each.fix
    if passes:
        mended = Pipeline(",".join(dict.fromkeys(passes)))(model).model
        assert not findings(mended, each.name, settings=settings)


def cases_of(names: dict[str, tuple[str, ...]]) -> list[object]:
    return [
        pytest.param(lint, rewrites, case, id=f"{lint}-{rewrite}-{case.name}")
        for lint, rewrites in names.items()
        for rewrite in rewrites
        for case in find_rewrite(rewrite).all_cases()
        if not case.options
    ]


@pytest.mark.parametrize(("lint", "rewrites", "case"), cases_of(DEPLOYED))
def test_it_speaks_where_a_rewrite_fires(lint: str, rewrites: tuple[str, ...], case: Case) -> None:
    """Of the cases of the rewrites: of no other but those in which one of them changes the model."""
    fires = any(Pipeline(name)(case.model()).modified for name in rewrites)
    assert bool(of_lint(lint, case.model())) == fires


def rewrites_named() -> list[object]:
    names = sorted({name for each in LINTS.values() for name in each.fix if "{" not in name})
    return [
        pytest.param(name, case, id=f"{name}-{case.name}") for name in names for case in find_rewrite(name).all_cases()
    ]


@pytest.mark.parametrize(("name", "case"), rewrites_named())
def test_would_fire_is_what_a_run_does(name: str, case: Case) -> None:
    rewrite, model = find_rewrite(name), case.model()
    before, uses = ir.to_proto(model), uses_of(model)
    tried = [rewrite.would_fire(node, case.opset, **case.options) for node in model.graph]
    assert any(tried) == (case.refuses is None)
    assert ir.to_proto(model) == before
    assert uses_of(model) == uses


def uses_of(model: ir.Model) -> list[int]:
    values = [value for node in model.graph for value in (*node.inputs, *node.outputs) if value is not None]
    return [len(value.uses()) for value in values]


# ---------------------------------------------------------------- real networks


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet50", {"convolution/unfolded-batchnorm": 53}),
        ("shufflenet", {"convolution/unfolded-batchnorm": 49, "convolution/unrecognised-shuffle": 16}),
        ("squeezenet", {}),
        ("vgg19", {}),
    ],
)
def test_light_models(name: str, expected: dict[str, int]) -> None:
    """Those of ResNet-50 and ShuffleNet v1 as Caffe2 exported them: a norm behind each convolution."""
    found = Counter(finding.lint for finding in findings(load_light(name, freeze_inputs=True), *LINTS))
    del found["convolution/bias-before-norm"]
    assert found == expected


def test_densenet_pools_behind_its_transitions() -> None:
    found = of_lint("convolution/pool-after-1x1", load_light("densenet121", freeze_inputs=True))
    assert len(found) == 3


# ---------------------------------------------------------------- taps and positions, by loops


def drawn(random: Random) -> dict[str, int]:
    bounds = {"size": 9, "taps": 5, "stride": 3, "dilation": 4, "begin": 6, "end": 6}
    return {name: random.randint(0 if name in ("begin", "end") else 1, most) for name, most in bounds.items()}


def dead(a: dict[str, int], *, transposed: bool) -> int | None:
    """How many taps of a 1-D convolution never meet an input, by its definition; None where nothing comes out."""
    reach = a["dilation"] * (a["taps"] - 1) + 1
    free = a["size"] + a["begin"] + a["end"] - reach
    outputs = free // a["stride"] + 1
    if transposed:
        outputs = a["stride"] * (a["size"] - 1) + reach - a["begin"] - a["end"]
    if outputs < 1 or (free < 0 and not transposed):
        return None
    met = set()
    for inside, tap, out in product(range(a["size"]), range(a["taps"]), range(outputs)):
        there = out * a["stride"] - a["begin"] + tap * a["dilation"]
        if transposed:
            there = inside if inside * a["stride"] + tap * a["dilation"] - a["begin"] == out else -1
        if there == inside:
            met.add(tap)
    return a["taps"] - len(met)


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("transposed", [False, True])
def test_dead_taps_are_those_of_the_definition(transposed: bool, seed: int) -> None:
    a = drawn(Random(seed))
    expected = dead(a, transposed=transposed)
    if expected is None:
        return

    def build(g: CaseBuilder) -> object:
        kind = g.ConvTranspose if transposed else g.Conv
        pads = (a["begin"], a["end"])
        shape = (a["taps"],)
        return kind(
            g.input(1, 1, a["size"]),
            g.weight(1, 1, *shape),
            strides=(a["stride"],),
            dilations=(a["dilation"],),
            pads=pads,
        )

    name = "convolution/dilation-exceeds-input" if a["dilation"] > 1 else "convolution/dead-taps"
    found = of_lint(name, Case("drawn", build).model())
    assert [message.split()[0] for message in found] == ([str(expected)] if expected else [])


@pytest.mark.parametrize("seed", range(60))
def test_unread_positions_are_those_of_the_definition(seed: int) -> None:
    random = Random(seed)
    size, stride = random.randint(12, 20), random.randint(2, 4)
    convs = [(random.randint(1, 3), random.randint(1, 3), random.randint(0, 2)) for _ in range(random.randint(1, 2))]

    def build(g: CaseBuilder) -> object:
        x = g.Relu(g.input(1, 1, size))
        made = [
            g.Conv(x, g.weight(1, 1, taps), strides=(stride,), dilations=(dilation,), pads=(pad, size))
            for taps, dilation, pad in convs
        ]
        return tuple(made)

    read = {
        out * stride - pad + tap * dilation
        for taps, dilation, pad in convs
        for out, tap in product(range(size), range(taps))
    }
    unread = [place for place in range(stride, 2 * stride) if place not in read]  # of one period inside
    found = of_lint("convolution/strided-1x1", Case("drawn", build).model())
    assert [message.split()[0] for message in found] == ([str(len(unread))] if unread else [])


# ---------------------------------------------------------------- what is not said


def test_a_kernel_too_long_to_be_gone_through_is_not_analysed() -> None:
    def build(g: CaseBuilder) -> object:
        return g.Conv(g.input(1, 1, 8), g.input(1, 1, 1 << 40), pads=(1 << 39, 1 << 39))

    model = Case("long", build).model()
    found = {finding.lint for finding in findings(model, *LINTS)}
    assert found == {NOT_ANALYSED}


SPEC = """graphc: 1
name: net
inputs: {{x: "f32[1, 8, 256, 256]"}}
outputs: [y]
nodes:
  - {{id: y, conv: {{out: 8, k: 7, groups: 8, bias: false}}}}
weights: {weights}
"""


def test_filters_of_a_spec_are_looked_at_where_they_come_from_a_file(tmp_path: Path) -> None:
    row = np.array([1, 6, 15, 20, 15, 6, 1], np.float32)
    np.savez(tmp_path / "net.npz", **{"y/weight": np.tile(np.outer(row, row), (8, 1, 1, 1))})
    path = tmp_path / "net.yaml"
    path.write_text(SPEC.format(weights="{npz: net.npz}"))
    assert of_lint("convolution/separable-kernel", path) == ["its 7×7 filter is the product of one along each axis"]
    path.write_text(SPEC.format(weights="{init: zeros}"))
    assert not of_lint("convolution/separable-kernel", path)
