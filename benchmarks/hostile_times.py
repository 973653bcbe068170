"""How long `graphc build` takes to refuse each hostile spec of the tests: whole processes, the slowest first.

python benchmarks/hostile_times.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from test_hostile import YAML

GRAPHC = str(Path(sys.executable).with_name("graphc"))


def main() -> None:
    """Run each, print the slowest, and whatever did not end as a user's mistake does."""
    times: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (content, *_) in YAML.items():
            path = Path(folder) / f"{name}.yaml"
            path.write_bytes(content)
            started = time.perf_counter()
            done = subprocess.run([GRAPHC, "build", path.name], cwd=folder, capture_output=True, text=True)
            times[name] = time.perf_counter() - started
            if done.returncode not in (1, 2) or "Traceback" in done.stderr:
                print(f"{name}: exit {done.returncode}\n{done.stderr}")
    for name, seconds in sorted(times.items(), key=lambda item: -item[1])[:10]:
        print(f"{name:<30} {seconds:5.2f} s")
    print(f"{len(times)} specs, {sum(seconds > 2 for seconds in times.values())} of them over 2 s")


if __name__ == "__main__":
    main()
