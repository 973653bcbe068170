"""Law 10: the generated pages say what the registry says today."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from graphc import catalogue, registry
from graphc.pipeline import named_pipelines

PAGES = catalogue.pages()
over_pages = pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(catalogue.ROOT)))


@over_pages
def test_page_is_fresh(path: Path) -> None:
    assert path.read_text("utf-8") == PAGES[path], "run `make catalogue`"


@over_pages
def test_links_lead_to_headings(path: Path) -> None:
    anchors = {heading.replace("/", "") for heading in re.findall(r"^## (.+)$", PAGES[path], re.MULTILINE)}
    links = set(re.findall(r"\(#([^)]*)\)", PAGES[path]))
    assert links
    assert links <= anchors


@over_pages
def test_tables_have_as_many_cells_in_every_row(path: Path) -> None:
    for block in PAGES[path].split("\n\n"):
        if block.startswith("|"):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1, block


def test_every_rewrite_and_lint_has_a_section() -> None:
    sections = set(re.findall(r"^## (.+)$", PAGES[catalogue.PASSES_PAGE], re.MULTILINE))
    files = [path.stem for path in (catalogue.ROOT / "passes" / "graphc_passes").glob("rewrites/*/[!_]*.py")]
    assert {registry.kebab(stem) for stem in files} <= sections
    lints = [path.stem for path in (catalogue.ROOT / "passes" / "graphc_passes").glob("lints/[!_]*.py")]
    assert {registry.kebab(stem) for stem in lints} <= {name.rpartition("/")[2] for name in sections}


def test_every_layer_has_a_section() -> None:
    sections = set(re.findall(r"^## (.+)$", PAGES[catalogue.LAYERS_PAGE], re.MULTILINE))
    assert {"conv", "batch_norm", "relu", "residual"} & sections == {"conv", "batch_norm", "relu"}
    assert {cls.layer_name() for cls in catalogue.shipped_layers()} == sections


def test_named_pipelines_are_listed() -> None:
    for name in named_pipelines():
        assert f"| `{name}` |" in PAGES[catalogue.PASSES_PAGE]


def test_a_rewrite_shows_law_conditions_cost_and_picture() -> None:
    text = PAGES[catalogue.PASSES_PAGE]
    page = text.partition("## fold-batchnorm-into-conv\n")[2].partition("\n## ")[0]
    assert "bn(conv(x, w, b)) = conv(x, w·s, (b − μ)·s + β)" in page
    assert "- training mode: the statistics depend on the batch" in page
    assert "nodes 2 → 1 (−50 %)" in page
    assert "before0[Conv] --> before1[BatchNormalization]" in page
    assert "after_in0([x0]) --> after0[Conv]" in page


def test_check_names_stale_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "pages", lambda: {tmp_path / "missing.md": "new"})
    assert catalogue.stale() == {tmp_path / "missing.md": "new"}
    (tmp_path / "missing.md").write_text("new")
    assert catalogue.stale() == {}


def test_command_exits_0_where_all_is_fresh() -> None:
    command = [sys.executable, "-m", "graphc.catalogue", "--check"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0
    assert done.stdout == b""
