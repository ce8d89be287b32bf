"""From names to a pair: train the original if need be, compress it, and cache both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from compd._version import __version__
from compd.compress import (
    COMPRESSIONS,
    RECIPE,
    Compression,
    code_of,
    config_to_json,
    empty_shadow,
    make_shadow,
)
from compd.control import QUIET, Control
from compd.data import Splits, load_data
from compd.files.storage import cache_dir, config_hash
from compd.models import model_hash, trace
from compd.pair.cache import cached_module, torch_version
from compd.pair.original import prepare_original
from compd.pair.pair import Pair
from compd.pair.spec import PairSpec
from compd.runtimes import check_engine
from compd.system.devices import choose_device
from compd.training import TrainConfig

__all__ = ["build_pair"]


def build_pair(
    model: str = "resnet18",
    *,
    data: str | Splits = "digits",
    data_name: str | None = None,
    weights: Path | str | None = None,
    width: int | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    compress: str | Compression = "qat",
    engine: str | None = None,
    training: TrainConfig | None = None,
    device: str = "auto",
    control: Control = QUIET,
) -> Pair:
    """Build a pair, or load its parts from the cache.

    Args:
        model: a zoo name, or ``pkg.module:factory`` for a network of your own.
        data: what :func:`compd.data.load_data` takes, or splits that are open already.
        data_name: what a saved pair names as its data; None for ``data`` or its name.
        weights: weights file of the original; None trains a zoo model (once) and takes a
            factory's model as it comes.
        width: base channels of a zoo model; None for the paper's (a small one on digits).
        mean: per-channel mean of the normalisation in front; None: from the weights file's
            metadata, else from the training rows (zoo), else none (factory).
        std: the same for the standard deviation.
        compress: ``qat``, ``ptq``, ``prune``, ``distil``, or a configuration of one of them.
        engine: int8 engine of the deployed model; None for x86 (float models have none).
        training: schedule for the original; None for the default of the data.
        device: ``auto``, ``cpu``, ``cuda``, …
        control: told of progress, and asked whether to stop.

    Returns:
        The pair, on the device.

    Raises:
        CompdError: for anything that is wrong with the arguments or files.
    """
    splits = data if isinstance(data, Splits) else Splits(load_data(data))
    named = data_name or (data if isinstance(data, str) else splits.dataset.name)
    if isinstance(compress, str):
        compress = COMPRESSIONS.parse(compress)
    if engine is not None:
        check_engine(compress, engine)
    where = choose_device(device)
    spec, original, rows = prepare_original(
        model,
        splits,
        weights=weights,
        width=width,
        mean=mean,
        std=std,
        training=training,
        device=where,
        control=control,
    )
    trace(original, model)
    shadow, more_rows = _shadow(compress, original, splits, where, control)
    pair_spec = PairSpec(
        spec,
        compress,
        engine or "x86",
        named,
        splits.dataset.identity,
        {**rows, **more_rows},
        splits.dataset.resize,
    )
    return Pair(pair_spec, original, shadow, device=where)


def _shadow(
    config: Compression, original: nn.Module, splits: Splits, device: torch.device, control: Control
) -> tuple[nn.Module, Mapping[str, str]]:
    """The shadow of an original, from the cache or made, and the rows it used."""
    dataset = splits.dataset

    def empty() -> nn.Module:
        example = torch.zeros(1, dataset.channels, *dataset.size)
        return empty_shadow(config, original, example)

    key = config_hash(
        {
            "kind": "shadow",
            "compress": config_to_json(config),
            "original": model_hash(original),
            "data": dataset.identity,
            "made_with": [__version__, RECIPE, torch_version(), device.type],
            **({"initial": model_hash(empty())} if code_of(config) else {}),  # it may be edited
        }
    )
    folder = cache_dir() / "shadows"

    def make() -> tuple[nn.Module, Mapping[str, str]]:
        shadow = make_shadow(
            config,
            original,
            splits,
            device=device,
            checkpoint=folder / f"{key}.checkpoint",
            control=control,
        )
        return shadow, {part: getattr(splits, part).rows for part in COMPRESSIONS.of(config).uses}

    return cached_module(folder / f"{key}.safetensors", empty, make)
