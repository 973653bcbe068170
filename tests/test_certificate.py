"""Certificates: what they say, what they are held against, and what they notice."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from networks import expanded, telling_model

import graphc
from graphc.cases import Case
from graphc.certificate import Certificate, beside, certify, digest, find_certificate, recheck
from graphc.compilation import Compilation, compile
from graphc.errors import GraphcError
from graphc.metadata import CERTIFICATE


@pytest.fixture(scope="module")
def made() -> Compilation:
    return compile(telling_model(expanded("can@can24")))


def test_it_says_what_was_done_where_and_how_far_off_it_is(made: Compilation) -> None:
    certificate = certify(made, "nets/can.yaml@can24")
    assert certificate.source == "can.yaml@can24", "no path of the machine it was built on"
    fired = [firing for firing in certificate.firings if firing.rewrite == "fold-adaptive-norm-into-conv"]
    assert len(fired) == 8
    names = {node.name for node in made.model.graph}
    assert all(set(firing.made) <= names for firing in fired)
    law = certificate.laws["fold-adaptive-norm-into-conv"]
    assert "training mode: the statistics depend on the batch" in law.refuses
    (error,) = certificate.measured
    assert 0 < error.max_rel <= error.allowed_rel


def test_the_sidecar_comes_before_the_metadata(made: Compilation, tmp_path: Path) -> None:
    certificate, path = certify(made, "can.yaml"), tmp_path / "net.onnx"
    graphc.save(made.model, path)
    loaded = graphc.load(path)
    assert find_certificate(path, loaded) == certificate
    del loaded.metadata_props[CERTIFICATE]
    with pytest.raises(GraphcError, match="has no certificate"):
        find_certificate(path, loaded)
    beside(path).write_text(certificate.model_dump_json())
    assert find_certificate(path, loaded) == certificate


def test_a_digest_survives_a_file_and_notices_one_weight(made: Compilation, tmp_path: Path) -> None:
    graphc.save(made.model, tmp_path / "net.onnx")
    assert digest(graphc.load(tmp_path / "net.onnx")) == digest(made.model)
    other = made.model.clone()
    name, value = next((n, v) for n, v in other.graph.initializers.items() if v.const_value.size > 1)
    content = value.const_value.numpy().copy()
    content.flat[0] = np.nextafter(content.flat[0], np.inf)
    value.const_value = ir.tensor(content, name=name)
    assert digest(other) != digest(made.model)


def test_it_is_checked_again_without_onnx_runtime(made: Compilation, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> None:
        raise AssertionError("ONNX Runtime was started")

    monkeypatch.setattr("graphc.runtime.equivalence.session", none)
    report = recheck(certify(made, "can.yaml"), made.original, made.model, {"H": 64, "W": 64})
    assert report.passed
    assert report.provider == "reference"


def test_another_original_or_model_is_noticed(made: Compilation) -> None:
    certificate = certify(made, "can.yaml")
    other = telling_model(expanded("can@can24"), seed=1)
    with pytest.raises(GraphcError, match="not the original") as error:
        recheck(certificate, other, made.model, {})
    assert error.value.code == "security/hash-mismatch"
    with pytest.raises(GraphcError, match="not the model"):
        recheck(certificate, made.original, other, {})


def test_a_wrong_model_with_a_forged_digest_is_noticed(made: Compilation) -> None:
    wrong = made.model.clone()
    bias = next(v for v in wrong.graph.initializers.values() if v.const_value.size > 1)
    bias.const_value = ir.tensor(bias.const_value.numpy() * np.float32(1.01), name=bias.name)
    forged = certify(made, "can.yaml").model_copy(update={"model": digest(wrong)})
    assert not recheck(forged, made.original, wrong, {"H": 64, "W": 64}).passed


def test_the_tolerance_is_what_the_rewrites_declare_not_what_the_certificate_says(made: Compilation) -> None:
    wrong = made.model.clone()
    bias = next(v for v in wrong.graph.initializers.values() if v.const_value.size > 1)
    bias.const_value = ir.tensor(bias.const_value.numpy() * np.float32(1.01), name=bias.name)
    text = json.loads(certify(made, "can.yaml").model_dump_json())
    text["laws"] = {name: law | {"numerics": "approximates", "bound": 9.0} for name, law in text["laws"].items()}
    forged = Certificate.model_validate(text | {"model": digest(wrong)})
    assert not recheck(forged, made.original, wrong, {"H": 64, "W": 64}).passed


def without_names() -> Compilation:
    """A dropped Identity in front of a Conv, neither with a name."""
    model = Case("unnamed", lambda g: g.Conv(g.Identity(g.input(1, 2, 5, 5)), g.weight(3, 2, 3, 3))).model()
    for node in model.graph:
        node.name = ""
    return compile(model, pipeline="drop-identity")


def test_rewrites_of_nodes_without_names_keep_their_laws() -> None:
    made = without_names()
    certificate = certify(made, "net.onnx")
    assert [(firing.rewrite, firing.node, firing.made) for firing in certificate.firings] == [("drop-identity", "", ())]
    assert certificate.laws["drop-identity"].numerics == "exact"
    assert recheck(certificate, made.original, made.model, {}).passed


def test_exact_rewrites_of_nodes_without_names_may_move_nothing() -> None:
    made = without_names()
    wrong = made.model.clone()
    (weight,) = wrong.graph.initializers.values()
    weight.const_value = ir.tensor(weight.const_value.numpy() * (1 + np.finfo(np.float32).eps), name=weight.name)
    forged = certify(made, "net.onnx").model_copy(update={"model": digest(wrong)})
    assert not recheck(forged, made.original, wrong, {}).passed


def test_a_firing_more_than_there_are_nodes_without_names_is_noticed() -> None:
    made = without_names()
    certificate = certify(made, "net.onnx")
    forged = certificate.model_copy(update={"firings": certificate.firings * 3})
    with pytest.raises(GraphcError, match="where no node is"):
        recheck(forged, made.original, made.model, {})


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"graphc": 1}', "\x00"])
def test_what_is_no_certificate_is_an_error(made: Compilation, tmp_path: Path, text: str) -> None:
    path = tmp_path / "net.onnx"
    beside(path).write_text(text)
    with pytest.raises(GraphcError, match="cannot be read"):
        find_certificate(path, made.model)
