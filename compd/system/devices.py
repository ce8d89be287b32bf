"""Where networks run: the CPU, or a GPU."""

from __future__ import annotations

import torch

from compd.errors import UnavailableError, brief
from compd.wording import setting

__all__ = ["choose_device", "device_name"]


def choose_device(name: str) -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda``, ``cuda:1`` … into a device that is there.

    Raises:
        CompdError: if there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UnavailableError(
            f"expected a device that this PyTorch can use, got device={name!r} "
            f"({brief(error, 100)}); try {setting('device', 'cpu')}"
        ) from error
    return device


def device_name(device: torch.device) -> str:
    """Of a device, for fingerprints: a GPU by its model."""
    if device.type != "cuda":
        return device.type
    return f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}"
