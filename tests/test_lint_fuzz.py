"""Models and specs with random damage, seeded: each ends in findings, and the process that lints them lives.

Valid models lose or change bytes, or have fields of their protobuf edited; the text of valid specs is cut, doubled and
spliced. A fault of a lint would be the finding run/plugin-failed, a crash or a hang run/worker-died.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import onnx
import onnx_ir as ir
import pytest
from google.protobuf.message import Message

from graphc.linting.lint import lints
from graphc.linting.run import run
from graphc.linting.settings import Settings

COUNT = 500
FAULTS = {"run/plugin-failed", "run/worker-died"}
SPECS = Path(__file__).parents[1] / "specs"
WORDS = [
    b"",
    b"0",
    b"-1",
    b"=",
    b"=a",
    b"null",
    b"[]",
    b"{}",
    b"\xff",
    b"\t",
    b"9" * 30,
    b"&a",
    b"*a",
    b"!!x",
    b"\n",
    b"- ",
]


def models() -> list[onnx.ModelProto]:
    """The models of the lints' own cases: every operator that one of them looks at."""
    cases = [case for each in lints().values() for case in (*each.bad_cases, *each.good_cases) if case.kind == "model"]
    return [ir.to_proto(case.model()) for case in cases]


def damaged_bytes(proto: onnx.ModelProto, rng: random.Random) -> bytes:
    content = bytearray(proto.SerializeToString())
    for _ in range(rng.randint(1, 8)):
        position = rng.randrange(len(content))
        match rng.randrange(3):
            case 0:
                content[position] ^= 1 << rng.randrange(8)
            case 1:
                del content[position : position + rng.randint(1, 4)]
            case _:
                content[position:position] = rng.randbytes(rng.randint(1, 4))
        content = content or bytearray(b"\0")
    return bytes(content)


def edited_fields(proto: onnx.ModelProto, rng: random.Random) -> bytes:
    """The model with a few fields of its messages set to odd values, doubled, or taken away."""
    edited = onnx.ModelProto()
    edited.CopyFrom(proto)
    for _ in range(rng.randint(1, 4)):
        parts = list(messages_in(edited))
        edit(parts[rng.randrange(len(parts))], rng)
    return edited.SerializeToString()


def messages_in(message: Message) -> Iterator[Message]:
    yield message
    for descriptor, value in message.ListFields():
        if descriptor.message_type is not None:
            for part in [value] if isinstance(value, Message) else value:
                yield from messages_in(part)


def edit(message: Message, rng: random.Random) -> None:
    fields = message.ListFields()
    if not fields:
        return
    descriptor, value = fields[rng.randrange(len(fields))]
    odd = {
        descriptor.CPPTYPE_STRING: ["", "x", "\n", "y" * 300]
        if descriptor.type == descriptor.TYPE_STRING
        else [b"", b"\0"],
        descriptor.CPPTYPE_INT32: [0, -1, 1, 7, 2**31 - 1],
        descriptor.CPPTYPE_INT64: [0, -1, 1, 2, 2**40, -(2**63)],
        descriptor.CPPTYPE_FLOAT: [0.0, -1.0, float("inf"), float("nan")],
        descriptor.CPPTYPE_ENUM: [0, 1],
    }.get(descriptor.cpp_type, [])
    if rng.random() < 0.3 or (not odd and isinstance(value, Message)):
        message.ClearField(descriptor.name)
    elif isinstance(value, Message) or (not odd and not len(value)):
        return
    elif not isinstance(value, str | bytes | int | float):  # repeated
        if not odd or rng.random() < 0.5:
            value.extend([value[rng.randrange(len(value))]])
        else:
            value[rng.randrange(len(value))] = rng.choice(odd)
    elif odd:
        setattr(message, descriptor.name, rng.choice(odd))


def damaged_text(text: bytes, rng: random.Random) -> bytes:
    lines = text.split(b"\n")
    for _ in range(rng.randint(1, 5)):
        index = rng.randrange(len(lines))
        line = lines[index]
        at, end = sorted(rng.randrange(len(line) + 1) for _ in range(2))
        match rng.randrange(5):
            case 0:
                del lines[index]
            case 1:
                lines.insert(rng.randrange(len(lines)), line)
            case 2:
                lines[index] = line[:at] + rng.choice(WORDS) + line[end:]
            case 3:
                lines[index] = b" " * rng.randint(1, 4) + line
            case _:
                lines[index] = line[:at] + line[end:]
        lines = lines or [b""]
    return b"\n".join(lines)


def check(files: list[Path]) -> None:
    found = run([str(file) for file in files], Settings()).report.findings
    faults = [finding for finding in found if finding.lint in FAULTS]
    assert not faults, "\n".join(f"{Path(each.file).name}: {each.message}" for each in faults)
    assert {Path(finding.file.partition("@")[0]) for finding in found} & set(files), "damage is seen at all"


@pytest.mark.parametrize("damage", [damaged_bytes, edited_fields])
def test_damaged_models(damage: Callable[[onnx.ModelProto, random.Random], bytes], tmp_path: Path) -> None:
    valid, files = models(), []
    for seed in range(COUNT // 2):
        rng = random.Random(seed)
        files.append(tmp_path / f"{seed}.onnx")
        files[-1].write_bytes(damage(valid[rng.randrange(len(valid))], rng))
    check(files)


def test_damaged_specs(tmp_path: Path) -> None:
    (tmp_path / "graphc.toml").touch()
    texts = [case.text.encode() for each in lints().values() for case in each.good_cases if case.kind == "spec"]
    texts += [path.read_bytes() for path in sorted(SPECS.glob("[a-e]*.yaml"))]
    files = []
    for seed in range(COUNT):
        rng = random.Random(seed)
        files.append(tmp_path / f"{seed}.yaml")
        files[-1].write_bytes(damaged_text(texts[rng.randrange(len(texts))], rng))
    check(files)
