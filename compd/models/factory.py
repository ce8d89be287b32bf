"""The user's own network: ``pkg.module:factory``, checked before anything else runs."""

from __future__ import annotations

import hashlib
import importlib
import linecache
import sys
import traceback
from pathlib import Path

import torch
from torch import Tensor, fx, nn

from compd.errors import ModelError, brief
from compd.models.weights import state_hash
from compd.sizes import AnySize, Size

__all__ = ["check_model", "load_factory", "model_hash", "trace"]


def load_factory(spec: str) -> nn.Module:
    """Import ``pkg.module:factory``, call the factory and return its module in eval mode.

    The working folder is importable, as with ``python -m``.

    Raises:
        CompdError: if the import or the factory fails, or if it returns no ``nn.Module``.
    """
    module_name, _, attribute = spec.partition(":")
    if not module_name or not attribute:
        raise ModelError(f"expected model as pkg.module:factory, got model={spec!r}")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        factory = getattr(importlib.import_module(module_name), attribute)
    except (Exception, SystemExit) as error:
        raise ModelError(
            f"expected model={spec!r} to name an importable factory, got {_what(error)}"
        ) from error
    if not callable(factory):
        raise ModelError(f"expected {spec!r} to be callable, got {type(factory).__name__}")
    try:
        model = factory()
    except (Exception, SystemExit) as error:
        raise ModelError(
            f"expected {spec!r} to return a torch.nn.Module, but it raised {_what(error)}"
            f"{_offending(error)}"
        ) from error
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"expected {spec!r} to return a torch.nn.Module, got {type(model).__name__}"
        )
    return model.eval()


def check_model(model: nn.Module, *, channels: int, size: AnySize, classes: int, name: str) -> None:
    """Run two noise images through a model and look at what comes out.

    Raises:
        CompdError: if the model fails, or answers with anything but finite logits (2, classes).
    """
    size = Size.of(size)
    example = torch.rand(2, channels, *size, generator=torch.Generator().manual_seed(0))
    try:
        with torch.inference_mode():
            logits = model(example)
    except Exception as error:
        raise ModelError(
            f"expected model={name!r} to take float pixels (N, {channels}, {size.height}, "
            f"{size.width}) in 0..1, but it raised {_what(error)}{_offending(error)}"
        ) from error
    if not isinstance(logits, Tensor) or tuple(logits.shape) != (2, classes):
        came = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ModelError(
            f"expected model={name!r} to return logits of shape (2, {classes}) for two "
            f"images, got {came}; "
            "the data decides the number of classes"
        )
    if not bool(torch.isfinite(logits).all()):
        raise ModelError(
            f"expected finite logits from model={name!r}, got NaN or infinity; check its weights"
        )


def model_hash(model: nn.Module) -> str:
    """SHA-256 (hex) of a model's numbers and of what it computes with them.

    The numbers are those of :func:`compd.models.state_hash`; the computation is the traced code
    and the settings of each layer (stride, eps, ...).
    """
    if isinstance(model, fx.GraphModule):
        what = model.code
    else:
        try:
            what = repr(model) + fx.symbolic_trace(model).code
        except Exception:  # not traceable: trace() says so where it matters
            what = repr(model)
    return hashlib.sha256(f"{state_hash(model.state_dict())} {what}".encode()).hexdigest()


def trace(model: nn.Module, name: str) -> fx.GraphModule:
    """Trace a model with ``torch.fx``; compression and coverage both work on the graph.

    Raises:
        CompdError: if it cannot be traced; names the line that cannot.
    """
    try:
        return fx.symbolic_trace(model)
    except Exception as error:
        raise ModelError(
            f"expected model={name!r} to survive torch.fx tracing, got {_what(error)}"
            f"{_offending(error)}; replace Python control flow on tensor values by tensor "
            "operations"
        ) from error


def _what(error: BaseException) -> str:
    kind, text = type(error).__name__, brief(error)
    return kind if text == kind else f"{kind}: {text}"


def _offending(error: BaseException) -> str:
    """`` at file:line: code`` of the last frame in the user's own files, if there is one."""
    own = (str(Path(torch.__file__).parent), str(Path(__file__).parent), "<")
    # The zoo lies beside this file, but it is not what a user can change.
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(own) and "importlib" not in frame.filename
    ]
    if not frames:
        return ""
    frame = frames[-1]
    code = (frame.line or linecache.getline(frame.filename, frame.lineno or 0)).strip()
    return f" at {frame.filename}:{frame.lineno}: {code}"
