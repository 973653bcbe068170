"""Discovery: lazy, one door, clashes named, broken plugins warned about and reported when asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace

import pytest

from graphc import registry
from graphc.errors import GraphcError
from graphc.linting.lint import find_lint, lints
from graphc.pipeline import named_pipelines
from graphc.spec.layers import layers

GROUPS = [registry.PASSES, registry.LAYERS, registry.LINTS, registry.PIPELINES]
CACHES = (registry._offers, named_pipelines, layers, lints)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Pretend that nothing but these plugins is installed: `installed({"dist": {"module": source}})`."""
    points = []

    def install(plugins: dict[str, dict[str, str]], group: str = registry.PASSES, variable: str = "") -> None:
        for distribution, modules in plugins.items():
            for path, source in modules.items():
                file = tmp_path / (path.replace(".", "/") + ".py")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(source)
            package = next(iter(modules)).partition(".")[0]
            point = EntryPoint(distribution, package + variable, group)
            points.append(point._for(SimpleNamespace(name=distribution, metadata={"Name": distribution})))
        clear()

    def clear() -> None:
        for cached in CACHES:
            cached.cache_clear()

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "entry_points", lambda group: [each for each in points if each.group == group])
    yield install
    clear()
    for name in [name for name in sys.modules if name.startswith("plug_")]:
        del sys.modules[name]


def test_a_module_is_an_entry_and_a_package_offers_its_modules(installed) -> None:
    installed(
        {
            "one": {"plug_drop_nothing": "plug_drop_nothing = 1"},
            "two": {"plug_many.__init__": "", "plug_many.fold_a_into_b": "", "plug_many._private": ""},
        }
    )
    found = registry.entries(registry.PASSES)
    assert {name: entry.distribution for name, entry in found.items()} == {
        "plug-drop-nothing": "one",
        "fold-a-into-b": "two",
    }
    assert found["plug-drop-nothing"].attribute() == 1


def test_nothing_is_imported_until_asked_for(installed) -> None:
    installed({"two": {"plug_lazy.__init__": "", "plug_lazy.fold_x": "raise RuntimeError('too early')"}})
    assert "fold-x" in registry.entries(registry.PASSES)
    assert "plug_lazy.fold_x" not in sys.modules


def test_a_clash_names_both_distributions(installed) -> None:
    installed(
        {
            "one": {"plug_a.__init__": "", "plug_a.fold_x": ""},
            "two": {"plug_b.__init__": "", "plug_b.fold_x": ""},
        }
    )
    with pytest.raises(GraphcError, match=r"'fold-x' is claimed by one \(plug_a.fold_x\) and by two") as error:
        registry.entries(registry.PASSES)
    assert error.value.code == "run/plugin-failed"


def test_a_broken_module_is_an_error_only_when_asked_for(installed) -> None:
    installed({"bad": {"plug_bad": "1 / 0"}})
    entry = registry.find(registry.PASSES, "plug-bad")
    with pytest.raises(GraphcError, match="'plug-bad' of bad cannot be loaded: ZeroDivisionError"):
        entry.load()


def test_a_broken_package_is_a_warning_and_the_rest_is_there(installed, monkeypatch) -> None:
    installed({"good": {"plug_good": "plug_good = 1"}, "gone": {"plug_gone": ""}})
    (Path(sys.path[0]) / "plug_gone.py").unlink()
    with pytest.warns(registry.PluginWarning, match="gone: plug_gone cannot be found"):
        assert list(registry.entries(registry.PASSES)) == ["plug-good"]


def test_a_module_without_its_own_name_says_so(installed) -> None:
    installed({"odd": {"plug_odd": "something_else = 1"}})
    with pytest.raises(GraphcError, match="defines no 'plug_odd'"):
        registry.find(registry.PASSES, "plug-odd").attribute()


LAYER = """
from graphc import Layer
class Shiny(Layer):
    def emit(self, g, x): return x
"""
LINT = """
from graphc import lint
@lint("Relu", category="graph", severity="info", help="")
def {name}(relu): return None
"""
OFFERS = {  # group -> (what its modules hold, what the entry point adds, what reads them all, what is found)
    registry.LAYERS: (LAYER, "", layers, "shiny"),
    registry.LINTS: (LINT, "", lints, "graph/{kebab}"),
    registry.PIPELINES: ("NAMED = {{'quick': 'drop-identity'}}", ":NAMED", named_pipelines, "quick"),
}
over_offers = pytest.mark.parametrize("group", OFFERS)


@over_offers
def test_objects_are_what_the_modules_hold_without_those_that_fail(installed, group: str) -> None:
    source, variable, read, found = OFFERS[group]
    good, bad = {"plug_good": source.format(name="plug_good")}, {"plug_bad": "raise OSError('gone')"}
    installed({"good": good, "bad": bad}, group, variable)
    with pytest.warns(registry.PluginWarning, match="plugin bad: 'plug-bad' of bad cannot be loaded: OSError: gone"):
        assert list(read()) == [found.format(kebab="plug-good")]


@over_offers
def test_a_clash_of_objects_names_both_distributions(installed, group: str) -> None:
    source, variable, read, found = OFFERS[group]
    stem = "plug_same" if group == registry.LINTS else "plug_{}"
    plugins = {
        name: {f"plug_{name}.__init__": "", f"plug_{name}.{stem.format(name)}": source.format(name="plug_same")}
        for name in "ab"
    }
    if group == registry.PIPELINES:
        plugins = {name: {f"plug_{name}": source.format(name="")} for name in "ab"}
    installed(plugins, group, variable)
    name = found.format(kebab="plug-same")
    with pytest.raises(GraphcError, match=f"'{name}' is claimed by a .* and by b") as error:
        read()
    assert error.value.code == "run/plugin-failed"


def test_modules_of_one_name_do_not_clash_where_the_name_is_not_used(installed) -> None:
    plugins = {name: {f"plug_{name}.__init__": "", f"plug_{name}.layers": LAYER} for name in "ab"}
    plugins["b"]["plug_b.layers"] = LAYER.replace("Shiny", "Dull")
    installed(plugins, registry.LAYERS)
    assert list(layers()) == ["dull", "shiny"]


@pytest.mark.parametrize("content", ["NAMED = [1]", "NAMED = {'a': 1}", "NAMED = {'a': '{{'}", ""])
def test_pipelines_that_are_none_are_a_warning(installed, content: str) -> None:
    installed({"odd": {"plug_odd": content}}, registry.PIPELINES, ":NAMED")
    with pytest.warns(registry.PluginWarning, match="plugin odd: "):
        assert named_pipelines() == {}


def test_a_broken_lint_is_an_error_when_asked_for(installed) -> None:
    installed({"bad": {"plug_bad": "1 / 0"}}, registry.LINTS)
    with (
        pytest.warns(registry.PluginWarning),
        pytest.raises(GraphcError, match="'plug-bad' of bad cannot be loaded: ZeroDivisionError"),
    ):
        find_lint("graph/plug-bad")


VERBS = """
import json, sys
from pathlib import Path
from typer.testing import CliRunner
from graphc.cli import app
from graphc.cli.new import TEMPLATES
Path("net.yaml").write_text((TEMPLATES / "conv.yaml").read_text().replace("NAME", "net"))
said = {}
for verb in (["passes"], ["layers"], ["build", "net.yaml"], ["explain", "conv"], ["explain", "plug-broken"]):
    result = CliRunner().invoke(app, verb)
    said[" ".join(verb)] = (result.exit_code, result.stderr)
print(json.dumps(said))
"""


@pytest.mark.parametrize("group", GROUPS)
def test_a_broken_plugin_breaks_no_command_that_does_not_ask_for_it(group: str, tmp_path: Path) -> None:
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[{group}]\nbroken = plug_broken{':NAMED' if group == registry.PIPELINES else ''}\n"
    )
    (tmp_path / "plug_broken.py").write_text("raise OSError('the disk is gone')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", VERBS]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    asked = said.pop("explain plug-broken")
    assert {code for code, _ in said.values()} == {0}, said
    assert asked[0] == (1 if group == registry.PASSES else 2)
    warned = [text for _, text in [*said.values(), asked] if "OSError: the disk is gone" in text]
    assert warned
    assert all(text.startswith("warning: plugin broken: ") for text in warned if text is not asked[1])


def test_an_unknown_name_suggests_a_known_one() -> None:
    with pytest.raises(GraphcError) as error:
        registry.find(registry.PASSES, "drop-dropuot")
    assert error.value.code == "spec/unknown-pass"
    assert error.value.hint == "did you mean 'drop-dropout'?"
