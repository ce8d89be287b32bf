"""From names to a pair: train the original if need be, compress it, and cache both.

Each step is cached under the hash of all that determines it, so a second run only loads files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import nn

from compd.compress import COMPRESSIONS, Compression, config_to_json, empty_shadow, make_shadow
from compd.data import Splits, load_data
from compd.errors import CompdError, unknown
from compd.models import ZOO, Classifier, load_weights_, read_weights, state_hash, trace
from compd.models.inputs import predict
from compd.pair import ModelSpec, Pair, PairSpec, choose_device, load_tensors_, tensors_to_bytes
from compd.progress import Progress, Report, silent
from compd.runtimes import FloatRuntime, check_engine
from compd.storage import cache_dir, config_hash, disk_errors, write_atomic
from compd.training import TrainConfig, accuracy, fit_

__all__ = [
    "Agreement",
    "Trained",
    "build_pair",
    "default_training",
    "evaluate",
    "prepare_original",
    "train_original",
]

_CACHE_FORMAT = 1  # raise it when training or compression changes what it gives for one config


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
    report: Report = silent,
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
        compress: ``qat``, ``ptq``, ``prune``, or a configuration of one of them.
        engine: int8 engine of the deployed model; None for x86 (pruned models have none).
        training: schedule for the original; None for the default of the data.
        device: ``auto``, ``cpu``, ``cuda``, …
        report: told of progress.

    Returns:
        The pair, on the device.

    Raises:
        CompdError: for anything that is wrong with the arguments or files.
    """
    splits = data if isinstance(data, Splits) else Splits(load_data(data))
    named = data_name or (data if isinstance(data, str) else splits.dataset.name)
    if isinstance(compress, str):
        if compress not in COMPRESSIONS:
            raise unknown("compress", compress, COMPRESSIONS)
        compress = COMPRESSIONS[compress]()
    if engine is not None:
        check_engine(compress, engine)
    where = choose_device(device)
    spec, original = prepare_original(
        model, splits, weights=weights, width=width, mean=mean, std=std, training=training,
        device=where, report=report,
    )  # fmt: skip
    trace(original, model)
    pair_spec = PairSpec(spec, compress, engine or "x86", named, splits.dataset.identity)
    shadow = _cached_shadow(compress, original, splits, where, report)
    return Pair(pair_spec, original, shadow, device=where)


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
    report: Report = silent,
) -> tuple[ModelSpec, nn.Module]:
    """Return the original and what it takes to build its architecture again.

    Args are those of :func:`build_pair`; ``always_train`` trains a factory's model, too.
    """
    dataset = splits.dataset
    factory = ":" in model
    if not factory and model not in ZOO:
        raise unknown("model", model, [*ZOO, "pkg.module:factory"])
    if factory and width is not None:
        raise CompdError(f"expected --width with a zoo model only, got width={width}")
    if (mean is None) != (std is None):
        raise CompdError(f"expected mean and std together, got mean={mean}, std={std}")
    file = None if weights is None else read_weights(Path(weights))
    if mean is None and file is not None and file.mean is not None and file.std is not None:
        mean, std = file.mean, file.std
    if mean is None and not factory:
        mean, std = _channel_stats(splits)
    if width is None and not factory:
        small = dataset.name == "digits" and file is None
        width = ZOO[model].small_width if small else ZOO[model].width
    for stats in (mean, std):
        if stats is not None and len(stats) != dataset.channels:
            raise CompdError(
                f"expected one mean and std for each of {dataset.channels} channels, got "
                f"mean={mean}, std={std}"
            )
    spec = ModelSpec(
        model, width, dataset.channels, dataset.size, dataset.classes, mean=mean, std=std
    )
    original = spec.build()
    if file is not None:
        load_weights_(original.net if isinstance(original, Classifier) and mean else original, file)
    if (file is not None or factory) and not always_train:
        return spec, original
    config = training or default_training(splits)
    key = config_hash(
        {
            "format": _CACHE_FORMAT,
            "spec": asdict(spec),
            "training": asdict(config),
            "data": dataset.identity,
            "torch": _torch_version(),
            "initial": state_hash(original.state_dict()) if factory or file else None,
        }
    )
    folder = cache_dir() / "originals"

    def train() -> nn.Module:
        fit_(
            original, splits.train, splits.selection, config, stage=f"training {model}",
            device=device, autocast=True, checkpoint=folder / f"{key}.checkpoint", report=report,
        )  # fmt: skip
        return original

    return spec, _cached(folder / f"{key}.safetensors", original, train)


def default_training(splits: Splits) -> TrainConfig:
    """The schedule for an original: seconds on digits; 95 % for ResNet-18 on CIFAR-10.

    A one-cycle schedule, as in Smith and Topin 2019.
    """
    dataset = splits.dataset
    if dataset.name == "digits":
        return TrainConfig(epochs=10, batch=64, pad=2, mirror=False)
    return TrainConfig(epochs=60, batch=128, lr=0.2, pad=dataset.size // 8, mirror=dataset.mirror)


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
    device: str = "auto",
    report: Report = silent,
) -> Trained:
    """Train an original and write its weights, with mean and std in the file's metadata.

    The state after each epoch is kept in the cache, so the same call goes on after a crash.

    Args:
        model: a zoo name, or ``pkg.module:factory``.
        splits: the data.
        out: the ``.safetensors`` file to write.
        weights: weights to start from.
        width: as for :func:`build_pair`.
        mean: as for :func:`build_pair`.
        std: as for :func:`build_pair`.
        epochs: None for the default of the data.
        lr: peak learning rate; None for the default of the data.
        batch: None for the default of the data.
        seed: of the order and the augmentation.
        device: ``auto``, ``cpu``, ``cuda``, …
        report: told of progress.
    """
    if out.suffix != ".safetensors":
        raise CompdError(f"expected a .safetensors file to write, got out={str(out)!r}")
    given = {"epochs": epochs, "lr": lr, "batch": batch, "seed": seed}
    training = replace(
        default_training(splits),
        **{key: value for key, value in given.items() if value is not None},  # type: ignore[arg-type]
    )
    where = choose_device(device)
    spec, original = prepare_original(
        model, splits, weights=weights, width=width, mean=mean, std=std, training=training,
        always_train=True, device=where, report=report,
    )  # fmt: skip
    net = original.net if isinstance(original, Classifier) and spec.mean else original
    metadata = {"architecture": model, "dataset": splits.dataset.name}
    for name, stats in (("mean", spec.mean), ("std", spec.std)):
        if stats is not None:
            metadata[name] = ",".join(str(value) for value in stats)
    with disk_errors(out):
        write_atomic(out, tensors_to_bytes(net, metadata))
    test = splits.test()
    run = FloatRuntime(original.to(where), where).run
    rows = {"train": splits.train.rows, "selection": splits.selection.rows, "test": test.rows}
    return Trained(accuracy(run, test), rows)


@dataclass(frozen=True)
class Agreement:
    """How the three models of a pair do on clean test rows (seeds and held-out)."""

    images: int
    rows: str
    original_accuracy: float
    shadow_accuracy: float
    deployed_accuracy: float
    natural_disagreement: float  # original against deployed
    shadow_deployed_disagreement: float


def evaluate(pair: Pair, splits: Splits, *, batch: int = 256, report: Report = silent) -> Agreement:
    """Measure a pair on all test rows; cached by the pair, the data and this machine.

    Args:
        pair: the pair.
        splits: of a data set with the pair's classes and image size.
        batch: images a call.
        report: told of progress.
    """
    key = config_hash(
        {"format": _CACHE_FORMAT, "data": splits.dataset.identity} | pair.fingerprint(batch=batch)
    )
    path = cache_dir() / "evaluations" / f"{key}.json"
    try:
        return Agreement(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        pass  # not there, or another version's: measure
    test = splits.test()
    pair.check_input(test.images, "test images")
    answers = []
    shadow_run = FloatRuntime(pair.shadow, pair.device, "shadow").run
    runs = (pair.reference.run, shadow_run, pair.deployed.run)
    for i, run in enumerate(runs):
        report(Progress("measuring accuracy", i, len(runs), {"images": str(len(test))}))
        answers.append(predict(run, test.images, batch=batch).argmax(1))
    report(Progress("measuring accuracy", len(runs), len(runs)))
    original, shadow, deployed = answers

    def share(hits: torch.Tensor) -> float:
        return float(hits.double().mean())

    result = Agreement(
        images=len(test),
        rows=test.rows,
        original_accuracy=share(original == test.labels),
        shadow_accuracy=share(shadow == test.labels),
        deployed_accuracy=share(deployed == test.labels),
        natural_disagreement=share(original != deployed),
        shadow_deployed_disagreement=share(shadow != deployed),
    )
    with disk_errors(path):
        write_atomic(path, json.dumps(asdict(result)).encode(), sync=False)
    return result


def _cached_shadow(
    config: Compression, original: nn.Module, splits: Splits, device: torch.device, report: Report
) -> nn.Module:
    dataset = splits.dataset
    key = config_hash(
        {
            "format": _CACHE_FORMAT,
            "compress": config_to_json(config),
            "original": state_hash(original.state_dict()),
            "data": dataset.identity,
            "torch": _torch_version(),
        }
    )
    folder = cache_dir() / "shadows"
    example = torch.zeros(1, dataset.channels, dataset.size, dataset.size)

    def make() -> nn.Module:
        return make_shadow(
            config,
            original,
            splits,
            device=device,
            checkpoint=folder / f"{key}.checkpoint",
            report=report,
        )

    path = folder / f"{key}.safetensors"
    if path.is_file():
        return _cached(path, empty_shadow(config, original, example), make)
    return _cached(path, None, make)


def _cached(path: Path, empty: nn.Module | None, make: Callable[[], nn.Module]) -> nn.Module:
    """Load a module's weights from a file; if it is missing or broken, make and write it."""
    if path.is_file() and empty is not None:
        try:
            load_tensors_(empty, path)
            return empty
        except CompdError:
            path.unlink()  # the cache holds only what can be made again
    module = make()
    with disk_errors(path):
        write_atomic(path, tensors_to_bytes(module), sync=False)
    return module


def _channel_stats(splits: Splits) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel over the training rows, in 0..1."""
    pixels = splits.train.images.transpose(0, 1).flatten(1).double() / 255  # (C, N*H*W)
    mean = tuple(round(float(v), 4) for v in pixels.mean(1))
    std = tuple(max(round(float(v), 4), 1e-3) for v in pixels.std(1))
    return mean, std


def _torch_version() -> str:
    return ".".join(str(torch.__version__).split(".")[:2])
