"""Discovery: lazy, one door, clashes named, broken plugins warned about and reported when asked for."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace

import pytest

from graphc import registry
from graphc.errors import GraphcError


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Pretend that plugins are installed: `installed({"dist": {"module": source}})`."""
    points = []

    def install(plugins: dict[str, dict[str, str]]) -> None:
        for distribution, modules in plugins.items():
            for path, source in modules.items():
                file = tmp_path / (path.replace(".", "/") + ".py")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(source)
            package = next(iter(modules)).partition(".")[0]
            point = EntryPoint(distribution, package, registry.PASSES)
            points.append(point._for(SimpleNamespace(name=distribution, metadata={"Name": distribution})))
        registry.entries.cache_clear()

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == registry.PASSES else [])
    yield install
    registry.entries.cache_clear()
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


def test_an_unknown_name_suggests_a_known_one() -> None:
    with pytest.raises(GraphcError) as error:
        registry.find(registry.PASSES, "drop-dropuot")
    assert error.value.code == "spec/unknown-pass"
    assert error.value.hint == "did you mean 'drop-dropout'?"
