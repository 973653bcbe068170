"""The profile of this machine is one that a roofline takes, and its roof is above what it was measured with."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from graphc.analysis.roofline import device
from graphc.cli import app
from graphc.runtime import profile as measuring


def test_measured_profile_is_a_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, small in (("SIDE", 64), ("IMAGE", 16), ("ELEMENTS", 1 << 12), ("CHAIN", 8), ("RUNS", 2)):
        monkeypatch.setattr(measuring, name, small)
    result = CliRunner().invoke(app, ["env", "--measure"])
    assert result.exit_code == 0, result.output
    file = tmp_path / "here.yaml"
    file.write_text(result.stdout)
    found = device(file)
    assert found.name == "onnxruntime-cpu"
    assert found.macs_per_second["fp32"] > 0
    assert found.bytes_per_second > 0
    assert 0 < found.seconds_per_node < 1
