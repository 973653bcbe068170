"""The sections of a spec: what they accept, what they refuse, where, and in which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from graphc.errors import GraphcError
from graphc.spec import diagnose
from graphc.spec.document import parse
from graphc.spec.doors import expand_text
from graphc.spec.language import Spec
from graphc.spec.lint_language import Budgets
from graphc.spec.network import Network
from graphc.spec.quantities import Dim
from graphc.spec.tree import plain

SPEC = """\
graphc: 1
name: small
params: {width: 8, act: relu, deep: false, must: 3}
let: {twice: =2 * width}
variants:
  wide: {width: 16}
dims: {N: 1, H: {min: 4, opt: 8, max: 16}}
inputs: {x: "f32[N, 3, H, 8]"}
outputs: [y]
nodes:
  - {id: y, conv: =twice}
"""


def refused(text: str, **arguments: Any) -> list[GraphcError]:
    """Every error of a spec."""
    with pytest.raises(GraphcError) as caught:
        expand_text(text, **arguments)
    return list(caught.value.all)


def only(text: str, **arguments: Any) -> GraphcError:
    """The one error of a spec."""
    (error,) = refused(text, **arguments)
    return error


def at(error: GraphcError) -> tuple[int, int]:
    assert error.where is not None
    return error.where.line, error.where.column


def pointed(error: GraphcError) -> str:
    """The text that the caret points at."""
    assert error.where is not None
    return error.where.text[error.where.column - 1 :]


def channels(network: Network) -> int:
    """Output channels of the network above."""
    shape = network.outputs[0].shape
    assert shape is not None
    return int(shape[1])


# ---------------------------------------------------------------- parameters, let, variants, overrides


def test_let_follows_params_in_order() -> None:
    assert channels(expand_text(SPEC)) == 16


def test_a_variant_sets_params() -> None:
    assert channels(expand_text(SPEC, variant="wide")) == 32


def test_an_override_beats_a_variant() -> None:
    assert channels(expand_text(SPEC, variant="wide", params={"width": 5})) == 10


def test_an_override_is_read_as_yaml() -> None:
    assert channels(expand_text(SPEC, params={"width": "5"})) == 10


def test_an_unknown_variant_lists_those_there_are() -> None:
    error = only(SPEC, variant="wild")
    assert (error.code, at(error)) == ("spec/unknown-variant", (5, 1))
    assert error.hint == "did you mean 'wide'?"


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        ({"widht": 3}, "spec/unknown-override", "did you mean 'width'?"),
        ({"twice": 3}, "spec/unknown-override", "it is derived in 'let'"),
        ({"width": "many"}, "spec/bad-type", "must be like 8, not 'many'"),
        ({"deep": 1}, "spec/bad-type", "must be like false, not 1"),
        ({"width": "[1"}, "spec/yaml-syntax", "no YAML value"),
    ],
)
def test_wrong_overrides_are_reported_at_the_command_line(given: Any, code: str, words: str) -> None:
    error = only(SPEC, params=given)
    assert (error.code, str(error.where)) == (code, "<command line>")
    assert words in error.message + error.hint


def test_a_variant_sets_nothing_else() -> None:
    error = only(SPEC.replace("{width: 16}", "{width: 16, wdith: 3}"))
    assert (error.code, error.hint) == ("spec/unknown-override", "did you mean 'width'?")
    assert pointed(error).startswith("wdith")


def test_a_null_parameter_is_required() -> None:
    text = SPEC.replace("must: 3", "must: null")
    error = only(text)
    assert (error.code, at(error)) == ("spec/missing-argument", (3, 44))
    assert "--set must=" in error.hint
    assert channels(expand_text(text, params={"must": 1})) == 16


def test_a_failed_let_is_reported_once_and_not_where_it_is_used() -> None:
    text = SPEC.replace("2 * width", "2 * widht").replace("=twice}", "=twice + twice}").replace(", 8]", ", twice]")
    error = only(text)
    assert (error.code, at(error), error.hint) == ("spec/unknown-name", (4, 14), "did you mean 'width'?")


# ---------------------------------------------------------------- what is wrong in sections


def test_every_section_is_looked_at() -> None:
    text = SPEC + (
        "train: {steps: many, optimiser: {}, losses: [{op: mse, from: [y, nope]}]}\n"
        "targets: {cpu: {opset: 3, precision: fp61}}\n"
        "lint: {budgets: {params: 80q}, severity: {a: fatal}}\n"
        "wieghts: {}\n"
    )
    found = {(error.code, pointed(error).split(",")[0], error.hint) for error in refused(text)}
    assert found == {
        ("spec/bad-type", "many", ""),
        ("spec/unknown-key", "optimiser: {}", "did you mean 'optimizer'?"),
        ("spec/unknown-name", "nope]}]}", "known: x, y"),
        ("spec/bad-value", "3", ""),
        ("spec/bad-value", "fp61}}", "did you mean 'fp16'?"),
        ("spec/bad-value", "80q}", ""),
        ("spec/bad-value", "fatal}}", ""),
        ("spec/unknown-key", "wieghts: {}", "did you mean 'weights'?"),
    }


def test_a_newer_language_is_refused() -> None:
    error = only(SPEC.replace("graphc: 1", "graphc: 2\nnonsense: 3"))
    assert (error.code, at(error)) == ("spec/unsupported-version", (1, 9))


def test_a_missing_section_is_named() -> None:
    error = only("graphc: 1\ninputs: {x: 'f32[1]'}\nnodes: [relu]\n")
    assert (error.code, error.message, at(error)) == (
        "spec/missing-argument",
        "'outputs' is required",
        (1, 1),
    )


def test_expressions_in_sections_are_evaluated() -> None:
    network = expand_text(SPEC + "train: {batch: =twice, optimizer: {adam: {lr: =1 / width}}}\n")
    assert network.spec.train is not None
    assert network.spec.train.batch == 16
    assert network.training is not None
    assert network.training.optimizer is not None
    assert network.training.optimizer.adam is not None
    assert network.training.optimizer.adam.lr == 0.125


def test_an_optimizer_is_one_of_several() -> None:
    error = only(SPEC + "train: {optimizer: {adam: {}, sgd: {}}}\n")
    assert (error.code, error.message) == (
        "spec/bad-value",
        "'train.optimizer' must be one of adam, adamw, sgd",
    )


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("H: {min: 3, opt: 9, max: 8}", "'dims.H' needs min <= opt <= max, not 3, 9, 8"),
        ("H: {min: 4, max: 9, multiple_of: 4}", "'dims.H' has the size 9, which is no multiple of 4"),
        ("H: 0", "'dims.H' must be at least 1, not 0"),
        ("H: 1.5", "'dims.H' must be a mapping, not 1.5"),
        ("H: {mni: 3}", "unknown key 'mni'"),
        ("H-W: 3", "'dims.H-W' must be letters, digits and '_', so that expressions can use it"),
    ],
)
def test_wrong_dims(written: str, message: str) -> None:
    found = [error.message for error in refused(f"graphc: 1\ndims: {{{written}}}\n{MINIMAL}")]
    assert message in found


MINIMAL = 'inputs: {x: "f32[1, 3, 8, 8]"}\noutputs: [y]\nnodes: [{id: y, op: relu}]\n'


@pytest.mark.parametrize("quantity", [".inf", "-1", "1.5", "80q", "k", "9" * 400, "[]"])
def test_wrong_quantities(quantity: str) -> None:
    error = only(SPEC + f"lint: {{budgets: {{params: {quantity}}}}}\n")
    assert error.code in ("spec/bad-type", "spec/bad-value", "spec/non-integral")
    assert pointed(error).startswith(quantity)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Relu", "must be snake_case"),
        ("residual", "is a word of the language"),
        ("from", "is a word of the language"),
        ("prev", "is a word of the language"),
    ],
)
def test_blocks_cannot_have_the_names_of_other_things(name: str, message: str) -> None:
    error = only(f"graphc: 1\nblocks: {{{name}: {{do: []}}}}\n{MINIMAL}")
    assert (error.code, at(error)) == ("spec/bad-value", (2, 10))
    assert message in error.message


def test_a_refused_block_is_not_reported_again_where_it_is_called() -> None:
    text = "graphc: 1\nblocks: {a: {od: [relu]}}\n" + MINIMAL.replace("op: relu", "op: a")
    assert [(error.code, at(error)) for error in refused(text)] == [
        ("spec/missing-argument", (2, 13)),
        ("spec/unknown-key", (2, 14)),
    ]


def test_a_range_is_tried_at_its_ends_and_beside_its_best() -> None:
    dim = Dim(min=4, opt=8, max=16, multiple_of=4)
    assert (dim.least, dim.best, dim.fixed, dim.near(1), dim.near(2)) == (4, 8, None, 12, 16)
    narrow = Dim(min=4, opt=16, max=16, multiple_of=4)
    assert (narrow.near(1), narrow.near(3), narrow.near(7), narrow.largest) == (12, 4, 16, 16)
    assert Dim(min=4, multiple_of=4).largest == 61 * 4 + 4
    assert Dim(min=2, max=2).fixed == 2
    assert Dim(multiple_of=8).least == Dim(multiple_of=8).best == 8


def test_quantities_have_units() -> None:
    budgets = Budgets.model_validate(
        {"params": "1.6M", "macs": "200G", "nodes": 200, "file-size": "1MiB", "activation-memory": "1.5GB"}
        | {"latency": "5ms"}
    )
    assert (budgets.params, budgets.macs, budgets.nodes) == (1_600_000, 200 * 10**9, 200)
    assert (budgets.file_size, budgets.activation_memory, budgets.latency) == (2**20, 1_500_000_000, 0.005)


# ---------------------------------------------------------------- the words for what pydantic finds


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size: int = Field(1, ge=1, le=9, multiple_of=2)


class Sample(BaseModel):
    model_config = ConfigDict(extra="forbid")
    count: int = 0
    ratio: float = Field(0.5, gt=0, lt=1)
    flag: bool = False
    text: str = Field("", min_length=2, max_length=4, pattern="^a")
    items: list[int] = Field([], min_length=1, max_length=2)
    pair: tuple[int, ...] = ()
    either: str | dict[str, int] = ""
    inner: dict[str, Inner] = {}


@pytest.mark.parametrize(
    ("written", "code", "message"),
    [
        ("count: '3'", "spec/bad-type", "'count' must be an integer, not '3'"),
        ("count: 3.5", "spec/non-integral", "'count' must be an integer, not 3.5"),
        ("count: true", "spec/bad-type", "'count' must be an integer, not true"),
        ("ratio: x", "spec/bad-type", "'ratio' must be a number, not 'x'"),
        ("ratio: 0", "spec/bad-value", "'ratio' must be above 0, not 0"),
        ("ratio: 1", "spec/bad-value", "'ratio' must be below 1, not 1"),
        ("flag: 1", "spec/bad-type", "'flag' must be true or false, not 1"),
        ("text: 3", "spec/bad-type", "'text' must be a text, not 3"),
        ("text: a", "spec/bad-value", "'text' must be at least 2 characters, not 'a'"),
        ("text: aaaaa", "spec/bad-value", "'text' must be at most 4 characters, not 'aaaaa'"),
        ("text: bb", "spec/bad-value", "'text' must be spelled like ^a, not 'bb'"),
        ("items: []", "spec/bad-value", "'items' must be at least 1 of them, not []"),
        ("items: [1, 2, 3]", "spec/bad-value", "'items' must be at most 2 of them, not [1, 2, 3]"),
        ("items: 1", "spec/bad-type", "'items' must be a list, not 1"),
        ("items: [1, a]", "spec/bad-type", "'items.1' must be an integer, not 'a'"),
        ("pair: 1", "spec/bad-type", "'pair' must be a list, not 1"),
        ("either: 1", "spec/bad-type", "'either' must be a text or a mapping, not 1"),
        ("either: {a: b}", "spec/bad-type", "'either.a' must be an integer, not 'b'"),
        ("inner: {a: 3}", "spec/bad-type", "'inner.a' must be a mapping, not 3"),
        ("inner: {a: {size: 10}}", "spec/bad-value", "'inner.a.size' must be at most 9, not 10"),
        ("inner: {a: {size: 3}}", "spec/bad-value", "'inner.a.size' must be a multiple of 2, not 3"),
        ("inner: {a: {sise: 3}}", "spec/unknown-key", "unknown key 'sise'"),
    ],
)
def test_findings_are_in_graphcs_words_and_at_their_place(written: str, code: str, message: str) -> None:
    tree = parse(written, "spec.yaml")
    with pytest.raises(GraphcError) as caught:
        diagnose.validated(Sample, plain(tree), tree)
    (error,) = caught.value.all
    assert (error.code, error.message) == (code, message)
    wrong = message.rpartition("not ")[2] if "not " in message else "sise"
    assert pointed(error).replace('"', "'").startswith(wrong.strip("'") if "'" not in written else wrong)


def test_an_unknown_key_is_compared_with_the_keys_of_its_own_place() -> None:
    tree = parse("inner: {a: {sise: 3}}", "spec.yaml")
    with pytest.raises(GraphcError) as caught:
        diagnose.validated(Sample, plain(tree), tree)
    assert caught.value.hint == "did you mean 'size'?"


def test_an_expression_is_quoted_beside_its_value() -> None:
    tree = parse("count: =a / 3", "spec.yaml")
    with pytest.raises(GraphcError, match=r"must be an integer, not 0.5 \('=a / 3'\)"):
        diagnose.validated(Sample, {"count": 0.5}, tree)


# ---------------------------------------------------------------- extends and the project


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)


def test_extends_merges_deeply_and_replaces_lists(tmp_path: Path) -> None:
    write(tmp_path, base=SPEC + "train: {steps: 3, optimizer: {adam: {lr: 0.5}}}\nweights: {init: zeros}\n")
    text = (
        "graphc: 1\nextends: base.yaml\nparams: {width: 3}\n"
        "train: {optimizer: {sgd: {}}}\nweights: {seed: 4}\nnodes: [{id: y, conv: =width}]\n"
    )
    network = expand_text(text, root=tmp_path)
    assert channels(network) == 3
    train, weights = network.spec.train, network.spec.weights
    assert train is not None and weights is not None  # noqa: PT018  narrows the types
    assert train.steps == 3
    assert train.optimizer is not None
    assert set(train.optimizer.model_fields_set) == {"sgd"}  # one of several: replaced, not merged
    assert (weights.init, weights.seed) != ("zeros", 4)


def test_an_error_in_a_base_is_reported_in_its_file(tmp_path: Path) -> None:
    write(tmp_path, base=SPEC.replace("conv: =twice", "cnov: =twice"))
    error = only("graphc: 1\nextends: base.yaml\n", root=tmp_path)
    assert error.where is not None
    assert (error.where.file, at(error)) == (str(tmp_path / "base.yaml"), (11, 13))


@pytest.mark.parametrize("path", ["../outside.yaml", "/etc/passwd", "sub/../../outside.yaml", "link.yaml"])
def test_a_spec_cannot_leave_its_project(tmp_path: Path, path: str) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "outside.yaml").write_text(SPEC)
    (project / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    for section in (f"extends: {path}\n", f"imports: {{a: {path}}}\n{MINIMAL}"):
        error = only(f"graphc: 1\n{section}", root=project)
        assert error.code == "spec/import-escapes-project"
        assert pointed(error).startswith(path)


def test_a_spec_cannot_name_a_url() -> None:
    error = only(f"graphc: 1\nimports: {{a: 'https://example.org/a.yaml'}}\n{MINIMAL}")
    assert (error.code, "sha256" in error.hint) == ("spec/import-escapes-project", True)


def test_files_cannot_extend_or_import_themselves(tmp_path: Path) -> None:
    write(
        tmp_path,
        a="graphc: 1\nextends: b.yaml\n",
        b="graphc: 1\nextends: a.yaml\n",
        c=f"graphc: 1\nimports: {{d: d.yaml}}\n{MINIMAL}",
        d=f"graphc: 1\nimports: {{c: c.yaml}}\n{MINIMAL}",
    )
    for name in ("a", "c"):
        error = only(f"graphc: 1\nimports: {{start: {name}.yaml}}\n{MINIMAL}", root=tmp_path)
        assert error.code == "spec/import-cycle"
        assert error.notes


def test_a_missing_import_is_reported_where_it_is_named(tmp_path: Path) -> None:
    error = only(f"graphc: 1\nimports: {{a: nowhere.yaml}}\n{MINIMAL}", root=tmp_path)
    assert (error.code, at(error)) == ("run/file-not-found", (2, 14))


def test_the_spec_model_lists_every_top_level_key_of_the_language() -> None:
    named = (
        "graphc name doc license source params let variants extends imports blocks dims inputs outputs nodes "
        "weights train targets passes lint"
    )
    assert sorted(Spec.model_fields) == sorted(named.split())
