"""The user's own network: ``pkg.module:factory``, checked before anything else runs."""

from __future__ import annotations

import hashlib
import importlib
import linecache
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from torch import Tensor, fx, nn

from compd.errors import ModelError, brief
from compd.models.exported import exported, has_operators, is_opaque, with_layers
from compd.models.weights import state_hash
from compd.sizes import AnySize, Size
from compd.system.quiet import quiet

__all__ = [
    "check_model",
    "example_images",
    "load_factory",
    "model_hash",
    "trace",
    "traceable",
]

_ROUNDING = 1e-3  # parts of the largest logit
_NORMS = re.compile(r"((?:Batch|Instance|Layer|Group)Norm\w*\(.*affine=(True|False))(?!, bias=)")


def load_factory(spec: str) -> nn.Module:
    """Import ``pkg.module:factory``, call the factory and return its module in eval mode.

    The working folder is importable, as with ``python -m``. Gradients, and the type and device of
    new tensors, are as before afterwards, whatever the user's code sets them to.

    Raises:
        CompdError: if the import or the factory fails, or if it returns no ``nn.Module``.
    """
    module_name, _, attribute = spec.partition(":")
    if not module_name or not attribute:
        raise ModelError(f"expected model as pkg.module:factory, got model={spec!r}")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    with _own_defaults():
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
    if isinstance(model, torch.export.ExportedProgram):
        model = model.module()
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"expected {spec!r} to return a torch.nn.Module, got {type(model).__name__}"
        )
    with suppress(NotImplementedError):  # torch.export's modules have no modes
        model.eval()
    return model


@contextmanager
def _own_defaults() -> Iterator[None]:
    """Whatever a user's code sets of PyTorch's global defaults ends with it."""
    gradients, dtype, device = (
        torch.is_grad_enabled(),
        torch.get_default_dtype(),
        torch.get_default_device(),
    )
    try:
        yield
    finally:
        torch.set_grad_enabled(gradients)
        torch.set_default_dtype(dtype)
        if torch.get_default_device() != device:
            torch.set_default_device(None if device.type == "cpu" else device)


def example_images(channels: int, size: AnySize) -> Tensor:
    """Two images of noise, the same on each machine: float (2, C, H, W) in 0..1."""
    return torch.rand(2, channels, *Size.of(size), generator=torch.Generator().manual_seed(0))


def check_model(model: nn.Module, *, channels: int, size: AnySize, classes: int, name: str) -> None:
    """Run two noise images through a model and look at what comes out.

    Raises:
        CompdError: if the model fails, or answers with anything but finite logits (2, classes).
    """
    size = Size.of(size)
    example = example_images(channels, size)
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
            "the data decides the number of classes, and what is no logits is left out"
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
            what = _described(model) + fx.symbolic_trace(model).code
        except Exception:  # not traceable: trace() says so where it matters
            what = _described(model)
    return hashlib.sha256(f"{state_hash(model.state_dict())} {what}".encode()).hexdigest()


def _described(model: nn.Module) -> str:
    """The layers of a model; those that normalise name their bias since PyTorch 2.13 alone."""
    return _NORMS.sub(r"\1, bias=\2", repr(model))


def traceable(model: nn.Module, example: Tensor, name: str) -> nn.Module:
    """A module that can be traced and differentiated, and answers as this one does.

    Where ``torch.fx`` cannot trace it, ``torch.export`` often can.

    Args:
        model: float pixels to logits, in eval mode; not changed.
        example: float pixels (N, C, H, W) that it takes.
        name: for messages.

    Returns:
        The module itself, or a graph of it.

    Raises:
        CompdError: if there is none.
    """
    graph, why = None, None
    try:
        graph = trace(model, name)
        lifted = has_operators(graph)
        graph = with_layers(graph) if lifted else graph
    except ModelError as error:
        why = error
    if graph is None or is_opaque(graph):
        try:
            with quiet():
                graph, lifted = exported(model, example), True
        except Exception as error:
            if why is not None:
                raise ModelError(f"{why.message.raw}; torch.export: {_what(error)}") from why
    assert graph is not None
    with torch.no_grad():
        expected = model(example)
        apart = (graph(example) - expected).abs().max() / expected.abs().max()
    if apart > _ROUNDING:
        raise ModelError(
            f"expected model={name!r} to answer alike when it is traced, got other answers; take "
            "out of its forward what depends on more than the image"
        )
    if not lifted and _has_gradient(model, example):
        return model
    if _has_gradient(graph, example):  # tracing leaves torch.no_grad around a forward out
        return graph
    raise ModelError(
        f"expected model={name!r} to have gradients, got an answer without; take torch.no_grad, "
        "torch.inference_mode and detach out of its forward"
    )


def _has_gradient(model: nn.Module, example: Tensor) -> bool:
    with torch.enable_grad():
        answer: Tensor = model(example.clone().requires_grad_())
    return answer.requires_grad


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
