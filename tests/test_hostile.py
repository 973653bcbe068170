"""Hostile and broken files: each ends in a refusal of graphc's own, in little memory and without a traceback.

One child reads the files of a group one after the other and tells, for each, the outcome and its peak memory
so far, so that the first file that takes too much is known by name.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

MEMORY = 512 << 20  # bytes a child may take, interpreter and libraries included
PATIENCE = 120  # seconds for a whole group; a file that is not refused at once takes hours

BUILD = """
from graphc.spec.doors import build as use
"""
READ_WEIGHTS = """
import onnx_ir as ir
from graphc.spec.parameters import Parameter
from graphc.spec.weights import Weights, fill
def use(path):
    value = ir.Value(name="w", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape((2, 3)))
    parameter = Parameter("w", value, (2, 3), "weight", None, 3, 2, True)
    fill([parameter], Weights.model_validate({path.suffix[1:]: path.name}), root=path.parent, project=path.parent)
"""
CHILD = """
import json, re, resource, sys
from pathlib import Path
from graphc.errors import GraphcError
{use}
def peak():
    status = Path("/proc/self/status")  # ru_maxrss of Linux counts what the parent took, too
    if status.exists():
        return 1024 * int(re.search("VmHWM:\\s+([0-9]+)", status.read_text())[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in map(Path, sys.argv[1:]):
    outcome = {{"exit": 0, "code": "", "line": 0, "text": ""}}
    try:
        use(path)
    except GraphcError as error:
        line = error.where.line if error.where else 0
        outcome = {{"exit": error.exit_code, "code": error.code, "line": line, "text": str(error)}}
    print(json.dumps({{**outcome, "name": path.stem, "bytes": peak()}}))
"""


def outcomes(use: str, files: Mapping[str, bytes], suffix: str, folder: Path) -> dict[str, dict[str, Any]]:
    """What became of each file, by its name."""
    paths = [folder / f"{name}{suffix}" for name in files]
    for path, content in zip(paths, files.values(), strict=True):
        path.write_bytes(content)
    child = subprocess.run(
        [sys.executable, "-c", CHILD.format(use=use), *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )
    assert (child.returncode, child.stderr) == (0, "")
    found = [json.loads(line) for line in child.stdout.splitlines()]
    assert [outcome["name"] for outcome in found] == list(files)
    return {outcome["name"]: outcome for outcome in found}


# ---------------------------------------------------------------- YAML

ALIASES = b"a: &a [x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (here, here, b", ".join([b"*%c" % before] * 9))
    for before, here in zip(b"abcdefgh", b"bcdefghi", strict=True)
)

YAML = {  # name: (content, code, line)
    "empty": (b"", "spec/yaml-syntax", 1),
    "spaces": (b" " * (1 << 20), "spec/yaml-syntax", 1),
    "too-large": (b"a: 1\n" + b"#" * (1 << 20), "spec/limit-exceeded", 1),
    "bom-and-tag": (b"\xef\xbb\xbfa: 1\nb: !!float 1", "spec/yaml-tag", 2),
    "crlf-and-tag": (b"a: 1\r\nb: !!float 1", "spec/yaml-tag", 2),
    "utf-16": ("a: 1".encode("utf-16"), "spec/not-utf8", 1),
    "latin-1": (b"a: 1\nb: caf\xe9", "spec/not-utf8", 2),
    "nul": (b"a: 1\nb: \x00", "spec/yaml-syntax", 2),
    "tabs": (b"a:\n\tb: 1", "spec/yaml-syntax", 2),
    "python-object": (b"a: 1\nb: !!python/object/apply:os.system ['exit 9']", "spec/yaml-tag", 2),
    "python-name": (b"!!python/name:os.system : 1", "spec/yaml-tag", 1),
    "multi-document": (b"a: 1\n---\nb: 1", "spec/yaml-syntax", 2),
    "duplicate-keys": (b"a: 1\nb: 2\na: 3", "spec/duplicate-key", 3),
    "merge-key": (b"a: &x {b: 1}\nc:\n  <<: *x", "spec/merge-key", 3),
    "quadratic-merge": (
        b"a: &a {k: 1}\nb: {<<: [" + b", ".join([b"*a"] * 5000) + b"]}",
        "spec/merge-key",
        2,
    ),
    "list-key": (b"a: 1\n? [b]\n: 1", "spec/bad-type", 2),
    "surrogate": (b'a: 1\nb: "\\ud800"', "spec/yaml-syntax", 2),
    "beyond-unicode": (b'a: 1\nb: "\\UFFFFFFFF"', "spec/yaml-syntax", 2),
    "huge-integer": (b"a: 1\nb: " + b"9" * 100_000, "spec/bad-value", 2),
    "huge-float": (b"a: 1\nb: 1e99999", "spec/bad-value", 2),
    "infinity-in-a-key": (b"a: 1\n.inf: 1", "spec/bad-type", 2),
    "undefined-alias": (b"a: *b", "spec/yaml-syntax", 1),
    "recursive-alias": (b"a: 1\nb: &b [*b]", "spec/recursive-alias", 2),
    "alias-bomb": (ALIASES, "spec/limit-exceeded", 5),
    "many-aliases": (b"a: &a 1\nb: [" + b"*a, " * 100_000 + b"]", "spec/limit-exceeded", 2),
    "open-brackets": (b"[" * 400_000, "spec/limit-exceeded", 1),
    "open-brackets-on-lines": (b"a:\n" + b" [\n" * 300_000, "spec/limit-exceeded", 41),
    "open-braces": (b"a: " + b"{" * 400_000, "spec/limit-exceeded", 1),
    "nested-lists": (b"- " * 200_000, "spec/limit-exceeded", 1),
    "nested-keys": (b"? " * 200_000, "spec/limit-exceeded", 1),
    "many-items": (b"a: [" + b"b," * 500_000 + b"]", "spec/limit-exceeded", 1),
    "many-keys": (b"".join(b"k%d: 1\n" % i for i in range(60_000)), "spec/limit-exceeded", 25_000),
    "long-key": (b"a" * 1_000_000 + b": 1", "spec/yaml-syntax", 1),
    "long-tag": (b"a: !" + b"a" * 1_000_000, "spec/yaml-tag", 1),
    "long-version": (b"%YAML " + b"9" * 10_000 + b".1\n---\na: 1", "spec/yaml-syntax", 1),
    "unclosed-quote": (b'a: "' + b"x\n" * 400_000, "spec/yaml-syntax", 400_001),
    "comma-in-expression": (b"a:\n  - {ch: =min(b, c)}", "spec/yaml-syntax", 2),
}


EXPRESSIONS = {  # name: (expression, code)
    "equals-alone": ("", "spec/bad-expression"),
    "import": ("__import__('os').system('exit 9')", "spec/unknown-name"),
    "attributes": ("().__class__.__mro__[1].__subclasses__()", "spec/unknown-name"),
    "power-tower": ("9**9**9", "spec/bad-expression"),
    "long-text": ("'a' * 10**9", "spec/bad-expression"),
    "text-format": ("'%999999999d' % 1", "spec/bad-expression"),
    "long-range": ("range(10**12)", "spec/bad-expression"),
    "rounding": ("round(5, -10**9)", "spec/bad-expression"),
    "parentheses": ("(" * 250 + "1", "spec/bad-expression"),
    "many-parentheses": ("(" * 100_000, "spec/bad-expression"),
}

SOMEWHERE = -1  # any line of the file: the whole chain of blocks is at fault
HEAD = 'graphc: 1\ninputs: {x: "f32[1, 3, 8, 8]"}\noutputs: [y]\n'
BODY = "nodes: [{id: y, op: relu}]\n"


def doubling(first: str, line: str, last: str, levels: int) -> str:
    """Line after line, each of which names the one before twice."""
    lines = [line.format(here=i, before=i - 1) for i in range(1, levels + 1)]
    return HEAD + "".join([first, *lines]) + last


PROJECTS = {  # name: (spec, code, line)
    "recursive-block": (HEAD + "blocks:\n  a: {do: [a]}\nnodes: [{id: y, op: a}]", "spec/block-cycle", 5),
    "recursive-blocks": (
        HEAD + "blocks:\n  a: {do: [b]}\n  b: {do: [a]}\nnodes: [{id: y, op: a}]",
        "spec/block-cycle",
        6,
    ),
    "exponential-blocks": (
        doubling(
            "blocks:\n  b0: {do: [relu]}\n",
            "  b{here}: {{do: [b{before}, b{before}]}}\n",
            "nodes: [{id: y, op: b30}]",
            30,
        ),
        "spec/limit-exceeded",
        SOMEWHERE,
    ),
    "exponential-blocks-of-nothing": (
        doubling(
            "blocks:\n  b0: {do: [{when: false, op: relu}]}\n",
            "  b{here}: {{do: [b{before}, b{before}]}}\n",
            "nodes: [{id: y, op: b30}]",
            30,
        ),
        "spec/limit-exceeded",
        SOMEWHERE,
    ),
    "deep-blocks": (
        doubling(
            "blocks:\n  b0: {do: [relu]}\n",
            "  b{here}: {{do: [b{before}]}}\n",
            "nodes: [{id: y, op: b99}]",
            99,
        ),
        "spec/limit-exceeded",
        SOMEWHERE,
    ),
    "exponential-list": (
        doubling("let:\n  a0: =[0]\n", "  a{here}: =[a{before}, a{before}]\n", BODY, 60),
        "spec/bad-expression",
        16,
    ),
    "long-repeat": (HEAD + "nodes: [{id: y, repeat: 1000000000000, do: [relu]}]", "spec/limit-exceeded", 4),
    "repeats": (
        HEAD + "nodes:\n- repeat: 4096\n  do: [{repeat: 4096, do: [relu]}]",
        "spec/limit-exceeded",
        SOMEWHERE,
    ),
    "repeats-of-nothing": (
        HEAD + "nodes:\n- repeat: 4096\n  do: [{repeat: 4096, do: []}]",
        "spec/limit-exceeded",
        SOMEWHERE,
    ),
    "huge-weights": (HEAD + "nodes: [{id: y, conv: 1000000000}]", "spec/limit-exceeded", 1),
    "import-cycle": (
        HEAD + "imports:\n  a: import-cycle.yaml\nnodes: [{id: y, op: a}]",
        "spec/import-cycle",
        5,
    ),
    "extends-cycle": (HEAD + "extends: extends-cycle.yaml\n" + BODY, "spec/import-cycle", 4),
    "import-of-a-cycle": (
        HEAD + "imports: {a: import-cycle.yaml}\nnodes: [{id: y, op: a}]",
        "spec/import-cycle",
        5,
    ),
    "import-escape": (
        HEAD + "imports:\n  a: ../../../../etc/passwd\nnodes: [{id: y, op: a}]",
        "spec/import-escapes-project",
        5,
    ),
    "extends-escape": (HEAD + "extends: /etc/passwd\n" + BODY, "spec/import-escapes-project", 4),
    "import-url": (
        HEAD + "imports:\n  a: https://example.org/a.yaml\nnodes: [{id: y, op: a}]",
        "spec/import-escapes-project",
        5,
    ),
    "weights-escape": (
        HEAD + "nodes: [{id: y, conv: 3}]\nweights: {npz: ../w.npz}",
        "spec/import-escapes-project",
        5,
    ),
}


def test_the_alias_bomb_is_the_classic_one() -> None:
    assert len(ALIASES) < 1000
    assert ALIASES.count(b"*") == 72


def check_specs(cases: Mapping[str, tuple[bytes, str, int]], folder: Path) -> None:
    (folder / "graphc.toml").touch()  # the project's root
    found = outcomes(BUILD, {name: content for name, (content, _, _) in cases.items()}, ".yaml", folder)
    for name, (_, code, line) in cases.items():
        outcome = found[name]
        assert (outcome["exit"], outcome["code"]) == (1, code), (name, outcome["text"])
        assert outcome["line"] == line or (line == SOMEWHERE and outcome["line"] > 0), (name, outcome["text"])
        assert all(len(text) < 1000 for text in outcome["text"].splitlines()), name
        assert outcome["bytes"] < MEMORY, name


def test_hostile_yaml(tmp_path: Path) -> None:
    check_specs(YAML, tmp_path)


def test_hostile_expressions(tmp_path: Path) -> None:
    cases = {
        name: (f"{HEAD}let:\n  b: ={expression}\n{BODY}".encode(), code, 5)
        for name, (expression, code) in EXPRESSIONS.items()
    }
    check_specs(cases, tmp_path)


def test_hostile_blocks_and_imports(tmp_path: Path) -> None:
    check_specs({name: (text.encode(), code, line) for name, (text, code, line) in PROJECTS.items()}, tmp_path)


def test_unusual_but_honest_yaml(tmp_path: Path) -> None:
    honest = {
        "bom": "\ufeff" + HEAD + BODY,
        "crlf": (HEAD + BODY).replace("\n", "\r\n"),
        "old-scalars": HEAD + "params: {a: [no, on, 012, 1:30, 0o14, .inf, 2001-01-01]}\n" + BODY,
        "json": json.dumps(
            {"graphc": 1, "inputs": {"x": "f32[2]"}, "outputs": ["y"], "nodes": [{"id": "y", "op": "relu"}]}
        ),
    }
    found = outcomes(BUILD, {name: text.encode() for name, text in honest.items()}, ".yaml", tmp_path)
    assert {name: outcome["text"] for name, outcome in found.items()} == dict.fromkeys(honest, "")


def test_a_missing_spec_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    child = CHILD.format(use=BUILD)
    for name in ("none.yaml", "folder.yaml"):
        run = subprocess.run(
            [sys.executable, "-c", child, str(tmp_path / name)], capture_output=True, text=True, check=True
        )
        assert (json.loads(run.stdout)["exit"], json.loads(run.stdout)["code"]) == (2, "run/file-not-found")


# ---------------------------------------------------------------- npz

VALUES = np.arange(6, dtype=np.float32).reshape(2, 3)


def npy(array: np.ndarray[Any, Any] = VALUES) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array)
    return stream.getvalue()


def forged(header: bytes, data: bytes = VALUES.tobytes()) -> bytes:
    """A .npy file of version 1 with any header."""
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


def described(descr: str = "'<f4'", shape: str = "(2, 3)", order: str = "False") -> bytes:
    return forged(f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}\n".encode())


def archive(*members: tuple[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(stream, "w", compression) as made:
        for name, content in members:
            made.writestr(name, content)
    return stream.getvalue()


def patched(content: bytes, old: bytes, new: bytes) -> bytes:
    assert old in content
    assert len(old) == len(new)
    return content.replace(old, new)


PLAIN = archive(("w.npy", npy()))
OBJECTS = io.BytesIO()
np.lib.format.write_array(OBJECTS, np.array([{"a": 1}], dtype=object))


def with_method(method: int) -> bytes:
    """The plain archive with another compression method, in the local and in the central header."""
    content = bytearray(PLAIN)
    content[8] = method
    content[content.index(b"PK\x01\x02") + 10] = method
    return bytes(content)


def with_flag() -> bytes:
    """The plain archive, said to be encrypted."""
    content = bytearray(PLAIN)
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def overlapping() -> bytes:
    """Many entries of the table of contents that all point at one large member."""
    single = archive(("w.npy", npy(np.zeros(1 << 16, np.float32))))
    start, end = single.index(b"PK\x01\x02"), single.index(b"PK\x05\x06")
    entries = b"".join(patched(single[start:end], b"w.npy", b"%c.npy" % (97 + i)) for i in range(20))
    tail = bytearray(single[end:])
    tail[8:10] = tail[10:12] = (20).to_bytes(2, "little")
    tail[12:16] = len(entries).to_bytes(4, "little")
    return single[:start] + entries + bytes(tail)


NPZ = {  # name: (content, code)
    "empty": (b"", "spec/weight-damaged"),
    "no-zip": (b"\x80\x04cos\nsystem\n" * 9, "spec/weight-damaged"),
    "empty-zip": (archive(), "spec/weight-missing"),
    "object-array": (archive(("w.npy", OBJECTS.getvalue())), "security/pickled-weights"),
    "object-in-structure": (archive(("w.npy", described("[('a', '|O')]"))), "spec/weight-damaged"),
    "pickle": (archive(("data.pkl", b"cos\nsystem\n")), "security/pickled-weights"),
    "terabytes": (
        archive(("w.npy", described(shape="(1099511627776,)"))),
        "security/tensor-larger-than-file",
    ),
    "overflow": (
        archive(("w.npy", described(shape="(4294967296, 4294967296, 4)"))),
        "security/tensor-larger-than-file",
    ),
    "less-than-declared": (archive(("w.npy", npy()[:-4])), "security/tensor-larger-than-file"),
    "more-than-declared": (archive(("w.npy", npy() + b"1234")), "security/tensor-larger-than-file"),
    "negative-shape": (archive(("w.npy", described(shape="(-2, -3)"))), "spec/weight-damaged"),
    "shape-of-texts": (archive(("w.npy", described(shape="('2', 3)"))), "spec/weight-damaged"),
    "shape-of-truths": (archive(("w.npy", described(shape="(True, 6)"))), "spec/weight-damaged"),
    "no-shape": (archive(("w.npy", forged(b"{'descr': '<f4'}"))), "spec/weight-damaged"),
    "code-for-a-header": (
        archive(("w.npy", forged(b"__import__('os').system('exit 9')"))),
        "spec/weight-damaged",
    ),
    "deep-header": (archive(("w.npy", forged(b"(" * 9000))), "spec/weight-damaged"),
    "long-header": (
        archive(("w.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + bytes(100))),
        "security/archive-bomb",
    ),
    "unknown-version": (archive(("w.npy", b"\x93NUMPY\x09\x00" + bytes(100))), "spec/weight-damaged"),
    "text-type": (archive(("w.npy", described("'<U4'"))), "spec/weight-damaged"),
    "no-type": (archive(("w.npy", described("'<f4, f4'"))), "spec/weight-damaged"),
    "no-array": (archive(("w.txt", b"1 2 3")), "spec/weight-damaged"),
    "duplicate": (archive(("w.npy", npy()), ("w.npy", npy())), "spec/weight-damaged"),
    "absolute-name": (archive(("/w.npy", npy())), "security/external-path-escape"),
    "parent-name": (archive(("../w.npy", npy())), "security/external-path-escape"),
    "bomb": (
        archive(("w.npy", npy(np.zeros(100 << 18, np.float32))), compression=zipfile.ZIP_DEFLATED),
        "security/archive-bomb",
    ),
    "overlapping": (overlapping(), "security/archive-bomb"),
    "unknown-compression": (with_method(99), "spec/weight-damaged"),
    "rare-compression": (with_method(zipfile.ZIP_LZMA), "spec/weight-damaged"),
    "encrypted": (with_flag(), "spec/weight-damaged"),
    "truncated": (PLAIN[: len(PLAIN) // 2], "spec/weight-damaged"),
    "wrong-crc": (patched(PLAIN, VALUES.tobytes(), (VALUES + 1).tobytes()), "spec/weight-damaged"),
    "no-deflate": (with_method(zipfile.ZIP_DEFLATED), "spec/weight-damaged"),
    "comment": (PLAIN[:-2] + b"\x05\x00hello", "spec/weight-damaged"),
    "directory-of-gigabytes": (PLAIN[:-10] + b"\xff\xff\xff\x7f" + PLAIN[-6:], "security/archive-bomb"),
    "zip64": (
        PLAIN[: PLAIN.index(b"PK\x05\x06")] + b"PK\x06\x07" + bytes(16) + PLAIN[PLAIN.index(b"PK\x05\x06") :],
        "spec/limit-exceeded",
    ),
    "float64": (archive(("w.npy", npy(VALUES.astype(np.float64)))), "spec/weight-type"),
    "scalar": (archive(("w.npy", npy(np.array(1, np.float32)))), "spec/weight-shape"),
    "swapped-shape": (archive(("w.npy", npy(np.asfortranarray(VALUES.T)))), "spec/weight-shape"),
}


def test_hostile_npz(tmp_path: Path) -> None:
    check_weights(NPZ, ".npz", tmp_path)


def check_weights(cases: Mapping[str, tuple[bytes, str]], suffix: str, folder: Path) -> None:
    found = outcomes(READ_WEIGHTS, {name: content for name, (content, _) in cases.items()}, suffix, folder)
    for name, (_, code) in cases.items():
        outcome = found[name]
        assert (outcome["exit"], outcome["code"]) == (1, code), (name, outcome["text"])
        assert name in outcome["text"], name  # the file is named
        assert outcome["bytes"] < MEMORY, name


def test_any_damaged_byte_of_an_npz_is_refused_or_harmless(tmp_path: Path) -> None:
    flipped = {f"byte-{i}": PLAIN[:i] + bytes([PLAIN[i] ^ 0x41]) + PLAIN[i + 1 :] for i in range(len(PLAIN))}
    found = outcomes(READ_WEIGHTS, flipped, ".npz", tmp_path)
    assert {outcome["exit"] for outcome in found.values()} <= {0, 1}
    harmful = [f"byte-{i}" for i in range(PLAIN.index(VALUES.tobytes()), PLAIN.index(b"PK\x01\x02"))]
    assert {found[name]["code"] for name in harmful} == {"spec/weight-damaged"}  # the checksum sees the content


# ---------------------------------------------------------------- safetensors


def tensors(header: object, data: bytes = VALUES.tobytes(), length: int | None = None) -> bytes:
    """A safetensors file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(shape: list[int], start: int, end: int, dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


GOOD = tensors({"w": entry([2, 3], 0, 24)})
SAFETENSORS = {  # name: (content, code)
    "empty": (b"", "spec/weight-damaged"),
    "short": (b"abc", "spec/weight-damaged"),
    "header-beyond-file": (tensors(b"{}", b"", 1000), "security/tensor-larger-than-file"),
    "header-of-exabytes": (tensors(b"{}", b"", (1 << 63) + 5), "security/tensor-larger-than-file"),
    "header-of-megabytes": (tensors(b"{" + b" " * (9 << 20) + b"}", b""), "security/tensor-larger-than-file"),
    "no-json": (tensors(b"\xff\xfe{", b""), "spec/weight-damaged"),
    "deep-json": (tensors(b"[" * 100_000, b""), "spec/weight-damaged"),
    "pickle": (b"\x80\x04cos\nsystem\n" * 9, "security/tensor-larger-than-file"),
    "overflow": (
        tensors({"w": entry([4194305, 4194305, 211106198978564], 0, 24)}),
        "spec/weight-damaged",
    ),
    "overlap": (tensors({"v": entry([2, 3], 0, 24), "w": entry([2, 3], 0, 24)}), "spec/weight-damaged"),
    "zero-size-reuse": (
        tensors({"w": entry([2, 3], 0, 24), "v": entry([0], 0, 0)}),
        "spec/weight-unexpected",
    ),
    "zero-size": (tensors({"w": entry([0, 3], 0, 0)}, b""), "spec/weight-shape"),
    "short-offsets": (tensors({"w": entry([2, 3], 0, 20)}), "spec/weight-damaged"),
    "backward-offsets": (tensors({"w": entry([2, 3], 24, 0)}), "spec/weight-damaged"),
    "negative-shape": (tensors({"w": entry([-2, -3], 0, 24)}), "spec/weight-damaged"),
    "data-beyond-file": (GOOD[:-4], "spec/weight-damaged"),
    "hidden-data": (GOOD + b"1234", "spec/weight-damaged"),
    "unknown-type": (tensors({"w": entry([2, 3], 0, 24, "PICKLE")}), "spec/weight-damaged"),
    "float8": (tensors({"w": entry([24], 0, 24, "F8_E4M3")}), "spec/weight-damaged"),
    "float64": (tensors({"w": entry([3], 0, 24, "F64")}), "spec/weight-shape"),
    "integers": (tensors({"w": entry([2, 3], 0, 24, "I32")}), "spec/weight-type"),
}


def test_hostile_safetensors(tmp_path: Path) -> None:
    check_weights(SAFETENSORS, ".safetensors", tmp_path)


@pytest.mark.parametrize(("suffix", "content"), [(".npz", PLAIN), (".safetensors", GOOD)], ids=["npz", "safetensors"])
def test_the_files_that_are_forged_above_are_good_before(suffix: str, content: bytes, tmp_path: Path) -> None:
    assert outcomes(READ_WEIGHTS, {"good": content}, suffix, tmp_path)["good"]["exit"] == 0
