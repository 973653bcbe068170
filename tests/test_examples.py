"""The examples run, and the example plugin, installed into a fresh environment, adds what it says it adds."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from graphc import load

EXAMPLES = Path(__file__).parents[1] / "examples"
PLUGIN = EXAMPLES / "plugin"
NEEDS_TORCH = {"export_model.py"}


def run(python: Path | str, *arguments: Path | str, cwd: Path) -> str:
    done = subprocess.run([python, *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment that has the plugin, and sees what this one has, graphc among it."""
    directory = tmp_path_factory.mktemp("fresh")
    venv.create(directory, with_pip=False)
    python = directory / "bin" / "python"
    where = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=directory)
    parent = sysconfig.get_path("purelib")
    Path(where.strip(), "parent.pth").write_text(f"import site; site.addsitedir({parent!r})\n")
    offline = ("--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    run(python, "-m", "pip", "install", *offline, PLUGIN, cwd=directory)
    return python


@pytest.mark.parametrize("script", sorted({p.name for p in EXAMPLES.glob("*.py")} - NEEDS_TORCH))
def test_script_runs(script: str, tmp_path: Path) -> None:
    assert run(sys.executable, EXAMPLES / script, cwd=tmp_path)


def test_pipeline_mixes_passes_of_graphc_and_of_onnx_ir(tmp_path: Path) -> None:
    printed = run(sys.executable, EXAMPLES / "pipeline.py", cwd=tmp_path)
    steps = {line.split()[0]: line for line in printed.splitlines()}
    assert "fired 3" in steps["fold-batchnorm-into-conv"]
    assert "fired 1" in steps["replace-conv-transpose-with-subpixel-conv"]
    assert {"lift-constants-to-initializers", "name-fix"} <= steps.keys()
    assert "within" in steps["out:"]


def test_exported_model_is_small_and_tells_no_paths() -> None:
    file = EXAMPLES / "exported.onnx"
    assert file.stat().st_size < 200_000
    assert not any(node.metadata_props for node in load(file).graph)


def test_plugin_is_found_and_used_by_name(fresh: Path) -> None:
    printed = run(fresh, PLUGIN / "demo.py", cwd=fresh.parent)
    assert "the layer wrote ['Gemm', 'Relu', 'Pow', 'Gemm']" in printed
    assert "warning: graph/square-as-pow: a square is computed as a power" in printed
    assert "the rewrite left ['Gemm', 'Relu', 'Mul', 'Gemm']" in printed
    assert "the lint says nothing more: True" in printed
    assert "outputs agree: True" in printed
    assert "laws broken: []" in printed


def test_plugin_is_listed_beside_what_graphc_ships(fresh: Path) -> None:
    script = """
import graphc, graphc.catalogue
from graphc.pipeline import pass_names
from graphc.spec.layers import layers
assert "squared_relu" in layers() and "conv" in layers()
assert {"replace-pow-with-mul", "fold-batchnorm-into-conv"} <= set(pass_names())
assert {"graph/square-as-pow", "convolution/checkerboard"} <= set(graphc.lints())
for each in graphc.lints().values():
    cases = [case for case in (*each.bad_cases, *each.good_cases) if case.kind == "model" and not case.settings]
    for case in cases:
        names = [found.lint for found in graphc.findings(case.model())]
        assert names == ([each.name] if case in each.bad_cases else []), (each.name, case.name)
assert "squared_relu" not in [cls.layer_name() for cls in graphc.catalogue.shipped_layers()]
assert "replace-pow-with-mul" not in [each.name for each in graphc.catalogue.shipped_rewrites()]
"""
    run(fresh, "-c", script, cwd=fresh.parent)
