"""How long and in how much memory `graphc lint` refuses each hostile file of the tests: whole processes, the slowest
first. `--build` has `graphc build` refuse the specs.

python benchmarks/hostile_times.py [--build]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from test_hostile import NPZ, SAFETENSORS, YAML
from test_hostile_lint import LAUNCHER, hostile_models, scripts, specs, weights

GRAPHC = str(Path(sys.executable).with_name("graphc"))
SLOW, LARGE = 2, 512 << 20  # seconds and bytes that one may take
GROUPS: Mapping[str, Callable[[Path], Mapping[str, str]]] = {
    "yaml": lambda folder: specs(folder, {name: (content, code) for name, (content, code, _) in YAML.items()}),
    "scripts": scripts,
    "npz": lambda folder: weights(folder, "npz", NPZ),
    "safetensors": lambda folder: weights(folder, "safetensors", SAFETENSORS),
    "models": hostile_models,
}


def main() -> None:
    """Run each, print the slowest and the largest, and whatever did not end as a user's mistake does."""
    verb = "build" if "--build" in sys.argv else "lint"
    times: dict[str, float] = {}
    sizes: dict[str, int] = {}
    for group, write in GROUPS.items():
        with tempfile.TemporaryDirectory() as place:
            for file in write(Path(place)):
                started = time.perf_counter()
                command = [sys.executable, "-c", LAUNCHER, GRAPHC, verb, file]
                done = subprocess.run(command, cwd=place, capture_output=True, text=True)
                name = f"{group}: {file}"
                times[name] = time.perf_counter() - started
                _, peak, _, code = done.stderr.splitlines()[-1].split()
                sizes[name] = int(peak)
                if int(code) not in (1, 2) or "Traceback" in done.stderr:
                    print(f"{name}: exit {code}\n{done.stdout}{done.stderr}")
    for name, seconds in sorted(times.items(), key=lambda item: -item[1])[:10]:
        print(f"{name:<60} {seconds:5.2f} s {sizes[name] >> 20:5} MiB")
    slow = sum(seconds > SLOW for seconds in times.values())
    large = sum(size > LARGE for size in sizes.values())
    print(
        f"{len(times)} files, {slow} over {SLOW} s, {large} over {LARGE >> 20} MiB, at most {max(sizes.values()) >> 20}"
    )


if __name__ == "__main__":
    main()
