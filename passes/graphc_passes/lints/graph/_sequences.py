"""What definitions ask of gates, states, heads and lengths of sequences."""

from __future__ import annotations

from collections.abc import Sequence

from graphc import View
from graphc_passes.lints.graph._graphs import sizes
from graphc_passes.lints.graph._rules import Found, Rules, content, doubtful, first, fits, shown, spreads

RULES = Rules()
GATES = {"GRU": 3, "LSTM": 4, "RNN": 1}
FUNCTIONS = {"GRU": 2, "LSTM": 3, "RNN": 1}
OWN_ATTENTION = 24  # the last opset of which ONNX Runtime has a kernel: it composes later ones, which repeat sizes of 1
ACTIVATIONS = frozenset(
    [
        "affine",
        "elu",
        "hardsigmoid",
        "leakyrelu",
        "relu",
        "scaledtanh",
        "sigmoid",
        "softplus",
        "softsign",
        "tanh",
        "thresholdedrelu",
    ]
)


# ---------------------------------------------------------------- recurrent


@RULES.of("GRU", "LSTM", "RNN")
def _recurrent(cell: View) -> str | None:
    data, recurrence, hidden = sizes(cell.input("X")), sizes(cell.input("R")), cell.attr("hidden_size")
    if hidden is None or hidden < 1:
        found = "" if not recurrence or recurrence[-1] is None else f": its R is {shown(recurrence)}"
        return f"its hidden_size is {'not stated' if hidden is None else hidden}{found}"
    directions = 2 if cell.attr("direction") == "bidirectional" else 1
    problem = _activations(cell, directions * FUNCTIONS[cell.op_type])
    if problem:
        return problem
    rows, is_lstm = GATES[cell.op_type] * hidden, cell.op_type == "LSTM"
    batch, length = _laid_out(cell, data)
    state = (directions, batch, hidden) if not cell.attr("layout") else (batch, directions, hidden)
    wanted: dict[str, tuple[int | None, ...]] = {
        "W": (directions, rows, data[-1] if data else None),
        "R": (directions, rows, hidden),
        "B": (directions, 2 * rows),
        "initial_h": state,
        **({"initial_c": state, "P": (directions, 3 * hidden)} if is_lstm else {}),
    }
    for name, shape in wanted.items():
        given = sizes(cell.input(name))
        if given is not None and not fits(given, shape):
            return f"its {name} is {shown(given)}, and with {hidden} hidden units it would be {shown(shape)}"
    return _lengths(cell, "sequence_lens", batch, length)


def _laid_out(cell: View, data: Sequence[int | None] | None) -> tuple[int | None, int | None]:
    """The size of the batch and the length of the sequences."""
    if data is None or len(data) != 3:
        return None, None
    return (data[0], data[1]) if cell.attr("layout") else (data[1], data[0])


def _activations(cell: View, count: int) -> str | None:
    names = cell.attr("activations") or ()
    strange = [name for name in names if name.lower() not in ACTIVATIONS]
    if strange:
        return f"'{strange[0]}' is no activation"
    return f"it has {len(names)} activations, and uses {count}" if names and len(names) < count else None


def _lengths(view: View, name: str, batch: int | None, longest: int | None) -> str | None:
    """The length of each sequence of a batch."""
    given, lengths = sizes(view.input(name)), content(view, name)
    if given is not None and not fits(given, (batch,)):
        return f"its {name} is {shown(given)}, and the batch {shown((batch,))}"
    if lengths is None or longest is None:
        return None
    far = lengths[(lengths < 0) | (lengths > longest)]
    return f"a sequence has {int(far[0])} steps, and the data {longest}" if far.size else None


@RULES.of("ReverseSequence")
def _reverse(reverse: View) -> str | None:
    data, batch, time = sizes(reverse.input("input")), reverse.attr("batch_axis"), reverse.attr("time_axis")
    if batch == time:
        return f"axis {batch} is the batch and the time"
    if data is None or not 0 <= min(batch, time) <= max(batch, time) < len(data):
        return None
    return _lengths(reverse, "sequence_lens", data[batch], data[time])


# ---------------------------------------------------------------- attention


@RULES.of("Attention")
def _attention(attention: View) -> Found:
    q, k, v = (sizes(attention.input(name)) for name in "QKV")
    if q is None or k is None or v is None:
        return None
    if {len(q), len(k), len(v)} not in ({3}, {4}):
        return f"Q, K and V are {shown(q)}, {shown(k)} and {shown(v)}, and have three or four axes all of them"
    heads = attention.attr("q_num_heads"), attention.attr("kv_num_heads")
    for given, stated in zip((q, k), heads, strict=True):
        if len(given) == 4 and stated and stated > 0 and given[1] not in (None, stated):
            return f"{stated} heads are stated, and there are {given[1]}"
    if len(q) == 3 and not all(heads):
        return "Q, K and V have three axes, and q_num_heads and kv_num_heads are not stated"
    split = [_in_heads(each, count) for each, count in zip((q, k, v), (heads[0], heads[1], heads[1]), strict=True)]
    found = first(*_split_evenly(q, k, v, *heads), _attends(attention, *split))
    may_repeat = attention.opset > OWN_ATTENTION and 1 in (*q, *k, *v, *(sizes(attention.input("attn_mask")) or ()))
    return doubtful(found) if found and may_repeat else found


def _in_heads(found: Sequence[int | None], heads: int | None) -> tuple[int | None, ...]:
    """The sizes as [batch, heads, sequence, head]."""
    if len(found) == 4:
        return tuple(found)
    width = found[2] // heads if found[2] is not None and heads else None
    return found[0], heads, found[1], width


def _split_evenly(
    q: Sequence[int | None], k: Sequence[int | None], v: Sequence[int | None], q_heads: int | None, kv_heads: int | None
) -> list[str]:
    """What three axes do not hold as many equal heads of as is stated."""
    given = {"Q": (q, q_heads), "K": (k, kv_heads), "V": (v, kv_heads)} if len(q) == 3 else {}
    return [
        f"its {name} {shown(found)} is no {heads} heads of one size"
        for name, (found, heads) in given.items()
        if heads and found[2] is not None and found[2] % heads
    ]


def _attends(attention: View, q: Sequence[int | None], k: Sequence[int | None], v: Sequence[int | None]) -> str | None:
    """How batches, heads, sequences and head sizes of what attends contradict each other."""
    if not fits(k[:3], v[:3]):
        return f"K {shown(k)} and V {shown(v)} are of other batches, heads or lengths"
    if not fits((q[0], q[3]), (k[0], k[3])):
        return f"Q {shown(q)} and K {shown(k)} are of other batches or head sizes"
    if q[1] is not None and k[1] and q[1] % k[1]:
        return f"{q[1]} heads of Q are no multiple of the {k[1]} of K"
    for name, now in (("past_key", k), ("past_value", v)):
        past = sizes(attention.input(name))
        if past is not None and not fits(past, (now[0], now[1], None, now[3])):
            return f"its {name} is {shown(past)}, and what goes on from there {shown(now)}"
    return _continues(attention, q, k)


def _continues(attention: View, q: Sequence[int | None], k: Sequence[int | None]) -> str | None:
    """How what went before and the mask over all of it contradict what there is now."""
    keys, values = sizes(attention.input("past_key")), sizes(attention.input("past_value"))
    if keys is not None and values is not None and not fits(keys[:3], values[:3]):
        return f"its past_key is {shown(keys)}, and its past_value {shown(values)}"
    mask = sizes(attention.input("attn_mask"))
    before = 0 if attention.input("past_key") is None else keys[2] if keys is not None else None
    if mask is None or before is None or None in (*q[:3], k[2]):
        return None
    steps = None if attention.opset >= OWN_ATTENTION else before + (k[2] or 0)  # a shorter mask is padded since then
    weights = (*q[:3], steps)
    return None if spreads(mask, weights) else f"its attn_mask {shown(mask)} cannot be repeated over {shown(weights)}"


@RULES.of("RotaryEmbedding")
def _rotary(rotary: View) -> str | None:
    data, cosines, places = (sizes(rotary.input(name)) for name in ("X", "cos_cache", "position_ids"))
    sines, turned = sizes(rotary.input("sin_cache")), rotary.attr("rotary_embedding_dim")
    if cosines is not None and sines is not None and not fits(cosines, sines):
        return f"its cos_cache is {shown(cosines)}, and its sin_cache {shown(sines)}"
    if data is None or cosines is None or len(data) not in (3, 4):
        return None
    batch, length = data[0], data[2 if len(data) == 4 else 1]
    heads = rotary.attr("num_heads")
    if heads is not None and (heads < 0 or (len(data) == 3 and heads and data[2] is not None and data[2] % heads)):
        return f"{shown(data)} is no {heads} heads of one size"
    width = data[3] if len(data) == 4 else data[2] // heads if data[2] is not None and heads else None
    half = turned // 2 if turned else None if width is None else width // 2
    wanted = (batch, length, half) if rotary.input("position_ids") is None else (None, half)
    if not fits(cosines, wanted):
        return f"its cos_cache is {shown(cosines)}, and the data asks for {shown(wanted)}"
    if places is not None and not fits(places, (batch, length)):
        return f"its position_ids is {shown(places)}, and the data asks for {shown((batch, length))}"
    return None
