"""Originals: built by name, trained once and cached, or loaded from a weights file."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from compd._version import __version__
from compd.control import QUIET, Control
from compd.data import Splits
from compd.errors import SettingError, unknown
from compd.files.outputs import check_output, write_output
from compd.files.storage import cache_dir, config_hash
from compd.models import ZOO, Classifier, load_weights_, model_hash, read_weights
from compd.models.tensors import tensors_to_bytes
from compd.pair.cache import cached_module, torch_version
from compd.pair.spec import ModelSpec
from compd.runtimes import FloatRuntime
from compd.system.devices import choose_device
from compd.system.machine import computes_bfloat16
from compd.training import TRAINING_STRATEGIES, TrainConfig, accuracy, fit_
from compd.wording import setting

__all__ = [
    "Trained",
    "default_training",
    "prepare_original",
    "train_original",
    "training_strategy",
]


def prepare_original(
    model: str,
    splits: Splits,
    *,
    weights: Path | str | None = None,
    width: int | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    training: TrainConfig | None = None,
    always_train: bool = False,
    device: torch.device,
    control: Control = QUIET,
) -> tuple[ModelSpec, nn.Module, Mapping[str, str]]:
    """Return an original, what it takes to build its architecture, and the rows it trained on.

    Args are those of :func:`compd.pair.build.build_pair`; ``always_train`` trains a factory's model
    and one with weights, too.
    """
    dataset = splits.dataset
    factory = ":" in model
    if not factory and model not in ZOO:
        raise unknown("model", model, [*ZOO, "pkg.module:factory"])
    if factory and width is not None:
        raise SettingError(f"{setting('width')} with a zoo model only", width=width)
    if (mean is None) != (std is None):
        raise SettingError("mean and std together", mean=mean, std=std)
    file = None if weights is None else read_weights(Path(weights))
    if mean is None and file is not None and file.mean is not None and file.std is not None:
        mean, std = file.mean, file.std
    if mean is None and not factory:
        mean, std = _channel_stats(splits)
    if width is None and file is not None and not factory:
        width = file.width
    if width is None and not factory:
        small = dataset.small and file is None
        width = ZOO[model].small_width if small else ZOO[model].width
    for stats in (mean, std):
        if stats is not None and len(stats) != dataset.channels:
            raise SettingError(
                f"one mean and std for each of {dataset.channels} channels", mean=mean, std=std
            )
    if not all(map(math.isfinite, mean or ())) or not all(0 < v < math.inf for v in std or ()):
        raise SettingError("a finite mean and std > 0", mean=mean, std=std)
    spec = ModelSpec(
        model, width, dataset.channels, dataset.size, dataset.classes, mean=mean, std=std
    )
    if factory:
        original = spec.build(file, traced=not always_train)
    else:
        original = spec.build()
        if file is not None:
            load_weights_(original.net if isinstance(original, Classifier) else original, file)
    if (file is not None or factory) and not always_train:
        return spec, original, {}
    config = training or default_training(splits, device)
    key = config_hash(
        {
            "kind": "original",
            "spec": spec.to_json(),
            "training": config.to_json(),
            "data": dataset.identity,
            "made_with": [__version__, torch_version(), device.type],
            "initial": model_hash(original) if factory or file else None,
        }
    )
    folder = cache_dir() / "originals"

    def train() -> tuple[nn.Module, Mapping[str, str]]:
        fit_(
            original,
            splits.train,
            splits.selection,
            config,
            stage=f"training {model}",
            device=device,
            checkpoint=folder / f"{key}.checkpoint",
            control=control,
        )
        return original, {"train": splits.train.rows, "selection": splits.selection.rows}

    trained, rows = cached_module(
        folder / f"{key}.safetensors", lambda: copy.deepcopy(original), train
    )
    return spec, trained, rows


def default_training(splits: Splits, device: torch.device) -> TrainConfig:
    """The schedule for an original: a one-cycle one, as in Smith and Topin 2019.

    Seconds on digits. On a CPU 45 epochs: 94.4 % for ResNet-18 on CIFAR-10, after hours. A GPU has
    the time for 100, and for squares of half an image's side cut out, as in DeVries and Taylor 2017
    (ResNet-18, 200 epochs, all training rows: 96.0 %).
    """
    dataset = splits.dataset
    gpu = device.type != "cpu"
    if dataset.small:  # bfloat16 saves nothing on a CPU here
        return TrainConfig(epochs=10, batch=64, pad=2, mirror=False, bfloat16=gpu)
    return TrainConfig(
        epochs=100 if gpu else 45,
        batch=128,
        lr=0.1,
        pad=min(dataset.size) // 8,
        mirror=dataset.mirror,
        cutout=min(dataset.size) // (2 if gpu else 4),
        bfloat16=computes_bfloat16(device.type),
    )


def training_strategy(strategy: str | Any) -> Any:
    """The configuration of a training strategy that may be named as text.

    Raises:
        SettingError: if it is unknown, or none that trains an original.
    """
    if isinstance(strategy, str):
        if strategy.partition(":")[0] == "qat":
            raise SettingError(
                f"a strategy that trains an original ({', '.join(TRAINING_STRATEGIES)})",
                strategy=strategy,
                advice="quantisation-aware training is a compression of one: "
                f"{setting('compress', 'qat')}",
            )
        return TRAINING_STRATEGIES.parse(strategy)
    TRAINING_STRATEGIES.name_of(strategy)
    return strategy


@dataclass(frozen=True)
class Trained:
    """An original that was trained and written."""

    accuracy: float  # on all test rows
    rows: Mapping[str, str]


def train_original(
    model: str,
    splits: Splits,
    out: Path,
    *,
    weights: Path | None = None,
    width: int | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    epochs: int | None = None,
    lr: float | None = None,
    batch: int | None = None,
    seed: int = 0,
    bfloat16: bool | None = None,
    strategy: str | Any = "standard",
    device: str = "auto",
    control: Control = QUIET,
) -> Trained:
    """Train an original and write its weights, with mean and std in the file's metadata.

    The state after each epoch is kept in the cache, so the same call goes on after a crash.

    Args:
        model: a zoo name, or ``pkg.module:factory``.
        splits: the data.
        out: the ``.safetensors`` file to write.
        weights: weights to start from.
        width: as for :func:`compd.pair.build.build_pair`.
        mean: the same.
        std: the same.
        epochs: None for the default of the data.
        lr: peak learning rate; None for the default of the data.
        batch: None for the default of the data.
        seed: of the order and the augmentation.
        bfloat16: arithmetic in bfloat16, the weights in float32; None for on a GPU, and on a CPU
            that does it natively if the data are not small.
        strategy: what is made of each batch: ``standard``, ``adversarial``, ``mixup``,
            ``smoothing``, with settings as ``mixup:alpha=0.4``, or a configuration of one.
        device: ``auto``, ``cpu``, ``cuda``, …
        control: told of progress, and asked whether to stop.

    Raises:
        CompdError: for anything that is wrong with the arguments or files.
    """
    check_output(out, "out", suffix=".safetensors", new_folder=True)
    given = {
        "epochs": epochs,
        "lr": lr,
        "batch": batch,
        "seed": seed,
        "bfloat16": bfloat16,
        "strategy": training_strategy(strategy),
    }
    where = choose_device(device)
    training = replace(
        default_training(splits, where),
        **{key: value for key, value in given.items() if value is not None},
    )
    spec, original, rows = prepare_original(
        model,
        splits,
        weights=weights,
        width=width,
        mean=mean,
        std=std,
        training=training,
        always_train=True,
        device=where,
        control=control,
    )
    net = original.net if isinstance(original, Classifier) and spec.mean else original
    metadata = {"architecture": model, "dataset": splits.dataset.name}
    if spec.width is not None:
        metadata["width"] = str(spec.width)
    for name, stats in (("mean", spec.mean), ("std", spec.std)):
        if stats is not None:
            metadata[name] = ",".join(str(value) for value in stats)
    write_output(out, tensors_to_bytes(net, metadata))
    test = splits.test()
    run = FloatRuntime(original.to(where), where).run
    return Trained(accuracy(run, test), {**rows, "test": test.rows})


def _channel_stats(splits: Splits) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel over the training rows, in 0..1."""
    pixels = splits.train.images.transpose(0, 1).flatten(1).double() / 255  # (C, N*H*W)
    mean = tuple(round(float(v), 4) for v in pixels.mean(1))
    std = tuple(max(round(float(v), 4), 1e-3) for v in pixels.std(1))
    return mean, std
