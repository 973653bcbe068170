"""Average pooling in its canonical forms, against numpy loops.

Thousands of random AveragePools, with every attribute of the operator. The loops are the definition of the ONNX
specification and the only oracle: ONNX Runtime gives SAME pads with dilations another size and crops where a
stride is larger than its window, and ONNX's shape inference adds windows that begin in the end pad.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

import numpy as np
import onnx_ir as ir
import pytest
from graphc_passes.sampling.convolutions import draw_pointwise
from graphc_passes.sampling.pools import DrawnPool, draw_average_pool

from graphc.analysis.summary import summarise
from graphc.cases import Case, CaseBuilder
from graphc.pipeline import Pipeline, find_rewrite, rewrites
from graphc.runtime.equivalence import check
from graphc.runtime.reference import evaluate
from graphc.view import Refusal

BATCHES, EACH = 13, 300  # more than 160 of each 300 can be rewritten: over 2,000 in all


def windows(pool: DrawnPool, sizes: list[int]) -> list[tuple[int, int, list[list[int]]]]:
    """Per axis: the pads, and the positions of each window's taps, 0 being the first element of the data."""
    rank, given = len(sizes), pool.attributes
    dilations = given.get("dilations", [1] * rank)
    pads, mode = given.get("pads", [0] * (2 * rank)), given.get("auto_pad", "NOTSET")
    found = []
    for a, size in enumerate(sizes):
        kernel, stride, dilation = given["kernel_shape"][a], given["strides"][a], dilations[a]
        reach = (kernel - 1) * dilation
        begin, end = pads[a], pads[rank + a]
        if mode.startswith("SAME"):
            outputs = (size + stride - 1) // stride
            total = max(0, (outputs - 1) * stride + reach + 1 - size)
            begin = total // 2 if mode == "SAME_UPPER" else total - total // 2
            end = total - begin
        starts, start = [], -begin
        while start + reach < size + end:
            starts.append(start)
            start += stride
        if given["ceil_mode"] and starts and start < size and starts[-1] + reach + 1 < size + end:
            starts.append(start)
        found.append((begin, end, [[s + t * dilation for t in range(kernel)] for s in starts]))
    return found


def by_loops(pool: DrawnPool, x: np.ndarray) -> np.ndarray:
    """The mean over each window: of its elements, and of the stated padding where that counts; that of nothing is 0."""
    sizes = list(x.shape[2:])
    axes = windows(pool, sizes)
    y = np.zeros((*x.shape[:2], *(len(places) for _, _, places in axes)))
    for out in np.ndindex(*y.shape[2:]):
        total, count = np.zeros(x.shape[:2]), 0
        taps = [places[o] for (_, _, places), o in zip(axes, out, strict=True)]
        for t in np.ndindex(*map(len, taps)):
            at = [positions[i] for positions, i in zip(taps, t, strict=True)]
            if all(0 <= p < size for p, size in zip(at, sizes, strict=True)):
                total += x[(slice(None), slice(None), *at)]
                count += 1
            elif pool.attributes["count_include_pad"]:
                stated = zip(at, sizes, axes, strict=True)
                count += all(-begin <= p < size + end for p, size, (begin, end, _) in stated)
        y[(slice(None), slice(None), *out)] = total / max(count, 1)
    return y


def concrete(pool: DrawnPool, random: Random) -> tuple[int, ...]:
    """Sizes in which some window fits on a dynamic axis: its kernel has at most 4 taps, undilated."""
    return tuple(size if isinstance(size, int) else random.randint(4, 7) for size in pool.data)


def model_of(pool: DrawnPool) -> ir.Model:
    """In float64, which no reassociation can blur."""
    builder = CaseBuilder(20, ir.DataType.DOUBLE)
    return builder.model([pool.of(builder)])


@pytest.mark.parametrize("batch", range(BATCHES))
def test_average_pool_as_depthwise_conv(batch: int) -> None:
    """It refuses only where a size that is not known decides, or where ONNX's inference states another size."""
    fired = 0
    for seed in range(batch * EACH, (batch + 1) * EACH):
        random = Random(seed)
        pool = draw_average_pool(random, size=6)
        shape = concrete(pool, random)
        axes = windows(pool, list(shape[2:]))
        if not all(places for _, _, places in axes):
            continue
        try:
            model = model_of(pool)
        except Refusal:
            continue
        run = find_rewrite("replace-average-pool-with-depthwise-conv")()
        stated = model.graph.outputs[0].shape
        run(model)
        if run.fired:
            x = np.random.default_rng(seed).standard_normal(shape)
            (found,) = evaluate(model, {"x0": x}).values()
            np.testing.assert_allclose(found, by_loops(pool, x), rtol=0, atol=1e-12, err_msg=str(pool))
            fired += 1
            continue
        reason, outputs = run.refused[0].reason, [len(places) for _, _, places in axes]
        assert "not known" in reason or list(stated or [])[2:] != outputs, (pool, reason)
    assert fired >= 160


@pytest.mark.parametrize("name", ["move-average-pool-above-pointwise-conv", "move-pointwise-conv-above-average-pool"])
def test_pointwise_convs_move_past_average_pools(name: str) -> None:
    """In either direction, with a bias or without, over every attribute of the pool."""
    fired, above = 0, name.startswith("move-average")
    for seed in range(400):
        random = Random(seed)
        pool, conv = draw_average_pool(random, size=6), draw_pointwise(random)
        pool = replace(pool, data=(pool.data[0], conv.in_channels, *pool.data[2:]))
        shape, rng = concrete(pool, random), np.random.default_rng(seed)
        builder = CaseBuilder(20, ir.DataType.DOUBLE, seed)
        try:
            x = builder.input(*pool.data)
            model = builder.model(
                [pool.of(builder, conv.of(builder, x)) if above else conv.of(builder, pool.of(builder, x))]
            )
        except Refusal:
            continue
        weight, *biases = (value.const_value.numpy() for value in model.graph.initializers.values())
        if not find_rewrite(name)(when="always")(model).modified:
            continue
        data = rng.standard_normal(shape)
        expected = (
            by_loops(pool, pointwise(data, weight, biases))
            if above
            else pointwise(by_loops(pool, data), weight, biases)
        )
        (found,) = evaluate(model, {"x0": data}).values()
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11, err_msg=f"{conv} {pool}")
        fired += 1
    assert fired > 50


def pointwise(x: np.ndarray, weight: np.ndarray, biases: list[np.ndarray]) -> np.ndarray:
    """Each output channel from the input channels of its group, one place at a time."""
    outer, inner = weight.shape[:2]
    per_group = outer // (x.shape[1] // inner)
    y = np.zeros((x.shape[0], outer, *x.shape[2:]))
    for k in range(outer):
        for c in range(inner):
            y[:, k] += weight[k, c].item() * x[:, k // per_group * inner + c]
        y[:, k] += sum(bias[k] for bias in biases)
    return y


def test_an_average_pool_and_a_conv_are_one_conv() -> None:
    """The loops of the pool, then those of a convolution."""
    fired = 0
    for seed in range(400):
        random = Random(seed)
        pool = draw_average_pool(random, ranks=(1,), kernel=3, size=12, plain=0.7)
        taps, stride, dilation = random.randint(1, 3), random.randint(1, 2), random.randint(1, 2)
        pads = [random.choice((0, 0, 1, 2)), random.choice((0, 0, 1, 2))]
        pool = replace(pool, data=(pool.data[0], 2, *pool.data[2:]))
        builder = CaseBuilder(20, ir.DataType.DOUBLE, seed)
        weight = builder.weight(3, 2, taps)
        filter_ = weight.const_value.numpy()
        try:
            inner = pool.of(builder, builder.input(*pool.data))
            given = {"strides": [stride], "dilations": [dilation], "pads": pads}
            model = builder.model([builder.Conv(inner, weight, **given)])
        except Refusal:
            continue
        if not find_rewrite("fuse-average-pool-into-conv")()(model).modified:
            continue
        batch, length = (size if isinstance(size, int) else 12 for size in (pool.data[0], pool.data[2]))
        x = np.random.default_rng(seed).standard_normal((batch, 2, length))
        mean = by_loops(pool, x)
        padded = np.concatenate([np.zeros((*x.shape[:2], pads[0])), mean, np.zeros((*x.shape[:2], pads[1]))], axis=2)
        outputs = (padded.shape[2] - dilation * (taps - 1) - 1) // stride + 1
        expected = np.zeros((x.shape[0], 3, outputs))
        for n, k, o in np.ndindex(*expected.shape):
            for c, t in np.ndindex(2, taps):
                expected[n, k, o] += filter_[k, c, t] * padded[n, c, o * stride + t * dilation]
        (found,) = evaluate(model, {"x0": x}).values()
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11, err_msg=str(pool))
        fired += 1
    assert fired > 80


POOLING = ",".join(sorted(name for name in rewrites() if "pool" in name or "pad" in name))


def below_zero(g: CaseBuilder) -> ir.Value:
    """T1: a zero Pad before a MaxPool of data that is all negative is not the MaxPool's own padding."""
    data = g.Neg(g.Exp(g.input(1, 2, 5, 5)))
    made = g.MaxPool(g.Pad(data, g.constant([0, 0, 1, 1, 0, 0, 1, 1])), kernel_shape=(2, 2))
    assert isinstance(made, ir.Value)
    return made


def padded_twice(g: CaseBuilder) -> ir.Value:
    """T2: the zeros of a Pad are averaged in, the pads of an AveragePool with count_include_pad=0 are not."""
    data = g.Pad(g.input(1, 2, 5, 5), g.constant([0, 0, 1, 1, 0, 0, 1, 1]))
    made = g.AveragePool(data, kernel_shape=(3, 3), pads=(1, 1, 1, 1))
    assert isinstance(made, ir.Value)
    return made


@pytest.mark.parametrize("trap", [below_zero, padded_twice])
def test_pads_before_pools_are_not_the_pools_pads(trap: Callable[[CaseBuilder], ir.Value]) -> None:
    case = Case(trap.__name__, trap)
    after = Pipeline(f"inference,{POOLING}")(case.model()).model
    assert check(case.model(), after).passed


def macs(model: ir.Model) -> int:
    found = summarise(model).measure("macs")
    assert found is not None
    return found


def test_a_densenet_transition_multiplies_four_times_less() -> None:
    builder = CaseBuilder(20, ir.DataType.FLOAT)
    conv = builder.Conv(builder.input(1, 256, 56, 56), builder.weight(128, 256, 1, 1))
    model = builder.model([builder.AveragePool(conv, kernel_shape=(2, 2), strides=(2, 2))])
    before = macs(model)
    assert before == 256 * 128 * 56 * 56
    assert find_rewrite("move-average-pool-above-pointwise-conv")()(model).modified
    assert macs(model) == before // 4


def test_a_volume_as_images_multiplies_no_more() -> None:
    builder = CaseBuilder(20, ir.DataType.FLOAT)
    weight, data = builder.weight(4, 3, 3, 3, 3), builder.input(1, 3, 6, 5, 7)
    model = builder.model([builder.Conv(data, weight, pads=(1,) * 6, strides=(2, 1, 1))])
    before = macs(model)
    assert find_rewrite("replace-conv3d-with-conv2d")()(model).modified
    assert macs(model) == before
