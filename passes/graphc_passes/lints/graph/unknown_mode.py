"""An attribute that names a mode, a direction or a reduction that its operator does not have, or a number for one.

Why    ONNX's checker knows that it is a text, not which. ONNX Runtime refuses the model when it opens it, or takes the
       word for the default without saying so, which is a warning: another function than was meant. Words came and went
       with opsets: what GridSample calls `linear` was `bilinear` before opset 20.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import onnx_ir as ir

from graphc import CaseBuilder, Problem, Subject, lint, suggest

AUTO_PAD = {"auto_pad": ((1, "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"),)}
BLOCKS = ((11, "DCR", "CRD"),)
FLAG = ((1, 0, 1),)
QK_OUTPUT = 3  # of Attention
RECURRENT = {"direction": ((1, "forward", "reverse", "bidirectional"),), "layout": ((14, 0, 1),)}
LOSS = {"reduction": ((12, "none", "sum", "mean"),)}
SCATTER = {"reduction": ((16, "none", "add", "mul"), (18, "max", "min"))}
# operator -> attribute -> words or numbers, after the opset that brought them; what one took away begins with `-`.
WORDS: dict[str, Mapping[str, Sequence[Sequence[Any]]]] = {
    "Attention": {"qk_matmul_output_mode": ((23, 0, 1, 2, 3),)},
    "AveragePool": AUTO_PAD,
    "BitShift": {"direction": ((11, "LEFT", "RIGHT"),)},
    "Conv": AUTO_PAD,
    "ConvInteger": AUTO_PAD,
    "ConvTranspose": AUTO_PAD,
    "CumProd": {"exclusive": FLAG, "reverse": FLAG},
    "DepthToSpace": {"mode": BLOCKS},
    "GRU": RECURRENT,
    "Gelu": {"approximate": ((20, "none", "tanh"),)},
    "GridSample": {
        "mode": ((16, "bilinear", "nearest", "bicubic"), (20, "linear", "cubic", "-bilinear", "-bicubic")),
        "padding_mode": ((16, "zeros", "border", "reflection"),),
    },
    "LpPool": AUTO_PAD,
    "LSTM": RECURRENT,
    "LpNormalization": {"p": ((1, 1, 2),)},
    "MaxPool": {**AUTO_PAD, "storage_order": FLAG},
    "Mod": {"fmod": FLAG},
    "NegativeLogLikelihoodLoss": LOSS,
    "NonMaxSuppression": {"center_point_box": FLAG},
    "Pad": {"mode": ((1, "constant", "reflect", "edge"), (19, "wrap"))},
    "QLinearConv": AUTO_PAD,
    "RNN": RECURRENT,
    "Resize": {
        "mode": ((10, "nearest", "linear"), (11, "cubic")),
        "coordinate_transformation_mode": (
            (11, "half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_crop_and_resize"),
            (11, "tf_half_pixel_for_nn"),
            (13, "-tf_half_pixel_for_nn"),
            (19, "half_pixel_symmetric"),
        ),
        "nearest_mode": ((11, "round_prefer_floor", "round_prefer_ceil", "floor", "ceil"),),
        "keep_aspect_ratio_policy": ((18, "stretch", "not_larger", "not_smaller"),),
    },
    "ReverseSequence": {"batch_axis": FLAG, "time_axis": FLAG},
    "RoiAlign": {
        "mode": ((10, "avg", "max"),),
        "coordinate_transformation_mode": ((16, "half_pixel", "output_half_pixel"),),
    },
    "ScatterElements": SCATTER,
    "ScatterND": SCATTER,
    "SoftmaxCrossEntropyLoss": LOSS,
    "SpaceToDepth": {"mode": BLOCKS},
    "StringNormalizer": {"case_change_action": ((10, "LOWER", "UPPER", "NONE"),)},
    "TensorScatter": {"mode": ((24, "linear", "circular"),)},
    "TfIdfVectorizer": {"mode": ((9, "TF", "IDF", "TFIDF"),)},
    "Upsample": {"mode": ((7, "nearest", "linear"),)},
}


@lint(category="graph", severity="error", help="take one of the words that the operator has in this opset")
def unknown_mode(subject: Subject) -> Iterator[Problem]:
    if not subject.is_model:  # a spec's attributes are checked where they are written
        return
    for node, opset in subject.nodes(*WORDS):
        for name, changes in WORDS[node.op_type].items():
            stated = node.attributes.get(name)
            if stated is None or stated.is_ref() or not isinstance(stated.value, (str, int)):
                continue
            known = _known(changes, opset)
            if known and stated.value not in known:
                what = f"{node.op_type} has no {name} '{stated.value}' in opset {opset}"
                hint = suggest(str(stated.value), map(str, known))
                yield Problem(what, at=node, help=hint, severity="warning" if _is_passed_over(node, name) else None)


def _is_passed_over(node: ir.Node, name: str) -> bool:
    """Whether ONNX Runtime takes any word: of reductions, of what the node has no use for, of axes from the end."""
    if name == "nearest_mode":
        mode = node.attributes.get("mode")
        return mode is not None and mode.value != "nearest"
    if name == "qk_matmul_output_mode":
        return len(node.outputs) <= QK_OUTPUT or node.attributes[name].value == -1
    return name == "reduction" or (node.op_type == "ReverseSequence" and node.attributes[name].value < 0)


def _known(changes: Sequence[Sequence[Any]], opset: int) -> list[str | int]:
    """The words of an opset; none where the attribute is not there yet."""
    known: dict[str | int, None] = {}
    for since, *words in changes:
        for word in words if since <= opset else ():
            if isinstance(word, str) and word.startswith("-"):
                known.pop(word[1:])
            else:
                known[word] = None
    return list(known)


def _node(g: CaseBuilder, op_type: str, *inputs: ir.Value, **attributes: Any) -> ir.Value:
    """A node that need not be valid."""
    node = ir.Node("", op_type, inputs, ir.convenience.convert_attributes(attributes), num_outputs=1)
    node.outputs[0].type = inputs[0].type
    g.nodes.append(node)
    return node.outputs[0]


@unknown_mode.bad
def a_word_of_another_library(g: CaseBuilder) -> object:
    return _node(g, "Pad", g.input(1, 3, 8, 8), g.constant([0, 0, 1, 1, 0, 0, 1, 1]), mode="symmetric")


@unknown_mode.bad
def a_word_of_an_older_opset(g: CaseBuilder) -> object:
    return _node(g, "GridSample", g.input(1, 3, 8, 8), g.input(1, 4, 4, 2), mode="bilinear")


@unknown_mode.bad
def a_reduction_that_runtimes_ignore(g: CaseBuilder) -> object:
    return _node(g, "ScatterND", g.input(4), g.constant([[0]]), g.weight(1), reduction="sum")


@unknown_mode.bad
def a_number_that_is_no_order(g: CaseBuilder) -> object:
    return _node(g, "MaxPool", g.input(1, 3, 8, 8), kernel_shape=(2, 2), storage_order=2)


@unknown_mode.good
def words_that_it_has(g: CaseBuilder) -> object:
    padded = g.Pad(g.input(1, 3, 8, 8), g.constant([0, 0, 1, 1, 0, 0, 1, 1]), mode="reflect")
    return g.GridSample(padded, g.input(1, 4, 4, 2), mode="linear")
