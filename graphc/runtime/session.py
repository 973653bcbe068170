"""One ONNX Runtime session: the only way a model is run.

ONNX Runtime is imported inside functions, so that everything that runs no model starts without it. Its
optimiser is off unless asked for: what is checked is the model as graphc wrote it. Its log and its spinning
threads are off.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
import onnx_ir as ir

from graphc.errors import GraphcError
from graphc.model import load, needs_data_file, staged

Provider = Literal["cpu", "cuda"]
PROVIDERS: dict[str, str] = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}

# Heavier weights go to ONNX Runtime through a file that it maps: 15 times quicker than a protobuf of 500 MB.
INLINE_BYTES = 16 << 20
QUIET = 4  # ONNX Runtime's severity "fatal"
# TensorFloat-32 keeps 10 bits of a float32's mantissa: its errors are larger than any rounding allows.
CUDA_OPTIONS = {"use_tf32": "0"}


class Session:
    """A model ready to run on one provider. Close it, or use `with`, to give back memory and files."""

    def __init__(self, raw: Any, provider: Provider, files: ExitStack) -> None:
        self.raw, self.provider, self._files = raw, provider, files
        self.inputs: tuple[str, ...] = tuple(x.name for x in raw.get_inputs())
        self.outputs: tuple[str, ...] = tuple(y.name for y in raw.get_outputs())

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Every output by name. `feeds` holds each input, and may hold an initializer that is also an input.

        Raises GraphcError (run/session-failed) when an input is missing, unknown, of another type or shape,
        or when ONNX Runtime fails.
        """
        missing = sorted(set(self.inputs) - feeds.keys())
        if missing:
            raise GraphcError(f"no value for the inputs {', '.join(missing)}", code="run/session-failed")
        for name, array in feeds.items():
            if array.dtype.kind == "V" or not array.dtype.isnative:
                raise GraphcError(
                    f"input '{name}': ONNX Runtime takes no numpy array of type {array.dtype.name}",
                    code="run/session-failed",
                    hint="run the model in float32 or float16",
                )
        try:
            found = self.raw.run(list(self.outputs), dict(feeds))
        except _failures() as error:
            raise _failed("ONNX Runtime could not run the model", error) from None
        return dict(zip(self.outputs, found, strict=True))

    def close(self) -> None:
        """Give back the session's memory and its temporary files."""
        self.raw = None
        self._files.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def session(
    model: ir.Model | Path | str,
    *,
    provider: Provider = "cpu",
    threads: int | None = None,
    optimise: bool = False,
    options: Mapping[str, str] | None = None,
) -> Session:
    """A session for a model, or for the file of one (read by `graphc.load`, with all its checks).

    `threads` is the number of intra-op threads, None for all cores; `optimise` turns ONNX Runtime's own optimiser on;
    `options` are options of the provider. CUDA computes in full float32 (TF32 off) unless an option says otherwise.
    Raises GraphcError: run/provider-missing, run/session-failed, and what `graphc.load` raises.
    """
    require_provider(provider)
    loaded = model if isinstance(model, ir.Model) else load(model)
    with ExitStack() as files:
        source: str | bytes
        if needs_data_file(loaded, INLINE_BYTES):
            directory = files.enter_context(staged(loaded, inline_bytes=INLINE_BYTES))
            source = str(directory / "model.onnx")
        else:
            source = ir.to_proto(loaded).SerializeToString()
        opened = _open(source, provider, _settings(threads, optimise), options)
        return Session(opened, provider, files.pop_all())


def require_provider(provider: Provider) -> None:
    """Raises GraphcError (run/provider-missing) unless this installation of ONNX Runtime has the provider."""
    available = providers()
    if provider not in available:
        has = ", ".join(available)
        raise GraphcError(
            f"this ONNX Runtime has no provider '{provider}' (it has: {has})",
            code="run/provider-missing",
            hint="pip install 'graphc[gpu]' on a machine with an NVIDIA GPU, CUDA and cuDNN"
            if provider == "cuda"
            else f"choose one of {', '.join(PROVIDERS)}",
        )


def providers() -> tuple[str, ...]:
    """The providers that this installation of ONNX Runtime has, by graphc's names."""
    import onnxruntime

    available = onnxruntime.get_available_providers()
    return tuple(name for name, official in PROVIDERS.items() if official in available)


def _settings(threads: int | None, optimise: bool) -> Any:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    level = onnxruntime.GraphOptimizationLevel
    settings.graph_optimization_level = level.ORT_ENABLE_ALL if optimise else level.ORT_DISABLE_ALL
    settings.intra_op_num_threads = threads or 0
    settings.log_severity_level = QUIET
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return settings


def _open(source: str | bytes, provider: Provider, settings: Any, options: Mapping[str, str] | None) -> Any:
    import onnxruntime

    given = {**(CUDA_OPTIONS if provider == "cuda" else {}), **(options or {})}
    wanted = [(PROVIDERS[provider], given)] + ([("CPUExecutionProvider", {})] if provider == "cuda" else [])
    try:
        opened = onnxruntime.InferenceSession(source, settings, providers=wanted)
    except _failures() as error:
        raise _failed("ONNX Runtime does not accept the model", error) from None
    if PROVIDERS[provider] not in opened.get_providers():  # the driver or cuDNN is missing
        raise GraphcError(
            f"provider '{provider}' is installed but could not be started",
            code="run/provider-missing",
            hint="check the GPU driver and that CUDA and cuDNN match this onnxruntime-gpu",
        )
    return opened


def _failures() -> tuple[type[Exception], ...]:
    """Every exception that ONNX Runtime's bindings raise: they have no common base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own: Sequence[type[Exception]] = [
        c for c in vars(state).values() if isinstance(c, type) and issubclass(c, Exception)
    ]
    return (*own, RuntimeError, ValueError, TypeError)


def _failed(what: str, error: Exception) -> GraphcError:
    """ONNX Runtime's message without its error number, its source files and its C++ signatures."""
    text = re.sub(r"\[ONNXRuntimeError\] : \d+ : \w+ : ", "", str(error))
    text = re.sub(r"\S*\.(?:cc|cpp|h|hpp|cu):\d+ (?:[^()]*\([^()]*\) )?(?:.*? was false\. )?", "", text)
    text = re.sub(
        r"Non-zero status code returned while running (\w+) node\. Name:('.*?') Status Message: ",
        r"\1 \2: ",
        text,
    )
    return GraphcError(f"{what}: {' '.join(text.split())}", code="run/session-failed")
