"""A filter that is to be the identity, and has no middle to put it in: an even kernel, or no filter at all.

Why    such weights cannot be drawn: the build fails, after everything else went well (Chen, Xu and Koltun 2017 define
       the initialisation for odd kernels).
"""

from __future__ import annotations

from collections.abc import Iterator

from graphc import Network, Problem, Subject, lint


@lint(
    on="spec",
    category="training",
    severity="error",
    help="make the kernel odd, or give this layer another 'init', such as he_normal",
)
def invalid_identity_init(subject: Subject) -> Iterator[Problem]:
    network = subject.expanded
    of_network = _init_of(network)
    for path, each in network.parameters.items():
        init = each.init if each.init is not None or each.role != "weight" else of_network
        name = next(iter(init)) if isinstance(init, dict) else init
        taps = each.shape[2:]
        if name != "identity" or (len(each.shape) > 1 and all(count % 2 for count in taps)):
            continue
        what = f"its kernel {list(taps)} has no middle" if taps else f"its shape is {list(each.shape)}"
        yield Problem(f"'{path}' cannot begin as the identity: {what}", at=next(iter(each.value.uses())).node)


def _init_of(network: Network) -> object:
    """What the spec's own `weights:` says of filters; nothing where a file gives them."""
    weights = network.spec.weights
    return weights.init if weights is not None and weights.file is None else None


@invalid_identity_init.bad
def an_even_kernel() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 8, 16, 16]"}
        outputs: [y]
        nodes: [{id: y, conv: {out: 8, k: 4, pad: valid, init: identity}}]
    """


@invalid_identity_init.good
def an_odd_kernel() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 8, 16, 16]"}
        outputs: [y]
        nodes: [{id: y, conv: {out: 8, k: 3, init: identity}}]
    """
