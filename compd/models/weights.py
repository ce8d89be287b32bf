"""Weights files: safetensors and plain PyTorch state dicts, whatever wrapper they come in."""

from __future__ import annotations

import hashlib
import re
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from compd.errors import InputError, brief
from compd.wording import setting

__all__ = ["WeightsFile", "load_weights_", "read_weights", "state_hash"]

_WRAPPERS = ("state_dict", "model_state_dict", "net", "model", "model_state")
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.")
_CHANNEL_STATS = ("mean", "std")
_MOST_BYTES = 4 << 30  # of a file; larger ones are no networks that int8 makes sense for


@dataclass(frozen=True)
class WeightsFile:
    """Tensors of a weights file, and what it says of its width and its normalisation."""

    path: Path
    tensors: Mapping[str, Tensor]
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    width: int | None = None


def read_weights(path: Path) -> WeightsFile:
    """Read a ``.safetensors``, ``.pt`` or ``.pth`` file; nothing is unpickled but tensors.

    Raises:
        CompdError: if the file is missing, of another kind, corrupt, or holds NaN or infinity.
    """
    if not path.is_file():
        raise InputError(f"expected a weights file, got weights={str(path)!r} (no such file)")
    if path.stat().st_size > _MOST_BYTES:
        raise InputError(
            f"expected a weights file of at most {_MOST_BYTES >> 30} GiB, got weights={str(path)!r}"
        )
    metadata: Mapping[str, str] = {}
    if path.suffix == ".safetensors":
        try:
            with safe_open(path, "pt") as file:
                metadata = file.metadata() or {}
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except Exception as error:  # of shapes that no tensor has, PyTorch raises others
            raise InputError(
                f"expected a safetensors file, got weights={str(path)!r} ({brief(error, 120)}); "
                "is it complete?"
            ) from error
    elif path.suffix in (".pt", ".pth"):
        tensors = _unwrap(_torch_load(path), path)
    else:
        raise InputError(
            f"expected weights as .safetensors, .pt or .pth, got weights={str(path)!r}; "
            "save the state dict with safetensors.torch.save_file"
        )
    for key, tensor in tensors.items():
        _check_plain(key, tensor, path)
        if bad := _not_finite(tensor):
            raise InputError(
                f"expected finite weights, got {bad} NaN or infinite values in {key!r} of "
                f"{path}; the training that made them diverged"
            )
    if {"normalise.mean", "normalise.std"} <= tensors.keys():  # a pair's own original.safetensors
        metadata = {n: _numbers(tensors[f"normalise.{n}"]) for n in _CHANNEL_STATS}
        tensors = {k.removeprefix("net."): v for k, v in tensors.items() if k.startswith("net.")}
    stats = {name: _floats(metadata[name], path) for name in _CHANNEL_STATS if name in metadata}
    width = metadata.get("width", "")
    return WeightsFile(
        path,
        tensors,
        mean=stats.get("mean"),
        std=stats.get("std"),
        width=int(width) if re.fullmatch("[0-9]{1,6}", width) else None,
    )


def load_weights_(net: nn.Module, weights: WeightsFile) -> None:
    """Load a weights file into a network, in place, whatever prefix its names carry.

    Raises:
        CompdError: if the names or shapes are those of another architecture.
    """
    target = net.state_dict()
    tensors = _strip_prefixes(weights.tensors, target)
    counters = {key for key in target if key.endswith("num_batches_tracked")}
    missing = sorted(target.keys() - tensors.keys() - counters)
    extra = sorted(key for key in tensors.keys() - target.keys())
    if missing or extra:
        raise InputError(
            f"expected weights of this architecture ({len(target)} tensors), got "
            f"{weights.path}: {_some('missing', missing)}{_some('unknown', extra)}"
            f"check {setting('model')} and {setting('width')}"
        )
    for key, tensor in tensors.items():
        if tensor.shape != target[key].shape:
            raise InputError(
                f"expected {key!r} of shape {tuple(target[key].shape)}, got "
                f"{tuple(tensor.shape)} in {weights.path}; check {setting('model')}, "
                f"{setting('width')} and the classes"
            )
    net.load_state_dict({**{key: target[key] for key in counters}, **tensors})


def state_hash(state: Mapping[str, Any]) -> str:
    """SHA-256 (hex) over names, dtypes, shapes and bytes of a state dict.

    Quantised tensors and the packed parameters of int8 modules count by their integers, scales
    and zero points, so that two deployed models with one hash compute with the same numbers.
    """
    digest = hashlib.sha256()
    for key in sorted(state):
        digest.update(key.encode())
        _feed(digest, state[key])
    return digest.hexdigest()


def _feed(digest: hashlib._Hash, value: Any) -> None:
    if isinstance(value, tuple):
        for item in value:
            _feed(digest, item)
    elif isinstance(value, Tensor) and value.is_quantized:
        if value.qscheme() in (torch.per_channel_affine, torch.per_channel_symmetric):
            _feed(digest, value.q_per_channel_scales())
            _feed(digest, value.q_per_channel_zero_points())
        else:
            digest.update(struct.pack("<dq", value.q_scale(), value.q_zero_point()))
        _feed(digest, value.int_repr())
    elif hasattr(value, "__tensor_flatten__") and type(value) not in (Tensor, nn.Parameter):
        parts, how = value.__tensor_flatten__()  # torchao's: integers and scales
        digest.update(f"{type(value).__name__}{how}".encode())
        for part in parts:
            _feed(digest, getattr(value, part))
    elif isinstance(value, Tensor):
        tensor = value.detach().cpu().contiguous()
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        if tensor.numel():  # an empty tensor may have strides that no view accepts
            digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    else:
        digest.update(repr(value).encode())


def _check_plain(key: str, tensor: Tensor, path: Path) -> None:
    """Raise unless a tensor holds each of its numbers: a few bytes can claim to be terabytes."""
    plain = tensor.layout is torch.strided and tensor.device.type == "cpu"
    plain = plain and not tensor.is_quantized and not tensor.is_nested
    if plain and tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes():
        return
    raise InputError(
        f"expected plain tensors that hold all their numbers, got {key!r} of {tensor.dtype}, "
        f"{tensor.layout}, shape {tuple(tensor.shape)} on {tensor.device} in {path}; save a dense "
        "state dict"
    )


def _not_finite(tensor: Tensor) -> int:
    """How many NaN and infinite values there are."""
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.resolve_conj())
    if not tensor.is_floating_point() or not tensor.numel():
        return 0  # of nothing, the other sizes can be beyond all arithmetic
    if tensor.element_size() == 1:  # arithmetic on 8-bit floats is not there
        tensor = tensor.float()
    return int((~torch.isfinite(tensor)).sum())


def _torch_load(path: Path) -> Any:
    try:
        if zipfile.is_zipfile(path):  # PyTorch packs nothing, so what is packed was made to burst
            with zipfile.ZipFile(path) as archive:
                unpacked = sum(member.file_size for member in archive.infolist())
                if unpacked > path.stat().st_size:
                    raise ValueError(f"{unpacked} bytes packed into fewer")
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes the unpickler raise a dozen kinds
        raise InputError(
            f"expected a file of plain tensors, got weights={str(path)!r} ({brief(error, 120)}); "
            "save only the state dict (nothing else is ever unpickled)"
        ) from error


def _unwrap(content: Any, path: Path) -> dict[str, Tensor]:
    for _ in _WRAPPERS:  # wrappers in wrappers, but not for ever
        if not isinstance(content, Mapping):
            break
        inner = (content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping))
        content = next(inner, content)
    if isinstance(content, Mapping):
        tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
        if tensors:
            return tensors
    raise InputError(
        f"expected a state dict (names to tensors), got {type(content).__name__} in {path}; "
        f"known wrappers are {', '.join(_WRAPPERS)}"
    )


def _strip_prefixes(
    tensors: Mapping[str, Tensor], target: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    result = dict(tensors)
    while result and not result.keys() & target.keys():
        prefix = next((p for p in _PREFIXES if all(k.startswith(p) for k in result)), None)
        if prefix is None:
            break
        result = {key[len(prefix) :]: value for key, value in result.items()}
    return result


def _floats(text: str, path: Path) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.strip("()[] ").split(","))
    except ValueError as error:
        raise InputError(
            f"expected mean and std as numbers with commas, got {text!r} in the metadata of {path}"
        ) from error


def _numbers(values: Tensor) -> str:
    return ",".join(repr(float(value)) for value in values.flatten())


def _some(what: str, names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return f"{what} {', '.join(names[:2])}{more}; "
