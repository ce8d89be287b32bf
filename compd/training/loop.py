"""One visible training loop: SGD with Nesterov momentum under a one-cycle schedule."""

from __future__ import annotations

import copy
import io
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from compd.control import QUIET, Control
from compd.data import Split
from compd.errors import ModelError, SettingError
from compd.files.storage import config_hash, disk_errors, write_atomic
from compd.models.inputs import predict, to_input
from compd.rng import draws_at
from compd.training.augment import crop_and_mirror, cut_out
from compd.training.strategies import TRAINING_STRATEGIES, Batch, Loss, Standard

__all__ = ["TrainConfig", "accuracy", "fit_", "lr_at"]

_STRATEGY = 0  # Philox key of what training strategies draw, beside the random seed


@dataclass(frozen=True)
class TrainConfig:
    """Everything that determines a training run but the data and the initial weights."""

    epochs: int = 10
    batch: int = 128
    lr: float = 0.1  # peak
    warmup: float = 0.25  # share of the steps until the peak
    weight_decay: float = 5e-4
    momentum: float = 0.9
    pad: int = 4  # largest random shift, in pixels
    mirror: bool = True
    cutout: int = 0  # side of the square that is blacked out in each image, in pixels
    bfloat16: bool = False  # arithmetic in bfloat16 (autocast); weights stay float32
    seed: int = 0
    strategy: Any = field(default_factory=Standard)  # of TRAINING_STRATEGIES

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 2 or not 0 < self.lr < 100:
            raise SettingError(
                "epochs >= 1, batch >= 2 and 0 < lr < 100",
                epochs=self.epochs,
                batch=self.batch,
                lr=self.lr,
            )
        if self.pad < 0 or self.cutout < 0:
            raise SettingError("pad >= 0 and cutout >= 0 pixels", pad=self.pad, cutout=self.cutout)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; the standard strategy goes without saying."""
        named = TRAINING_STRATEGIES.settings_of(self.strategy)
        standard = self.strategy == Standard()
        return {
            **{key: value for key, value in asdict(self).items() if key != "strategy"},
            **({} if standard else {"strategy": named}),
        }

    @property
    def step(self) -> Callable[[Batch], tuple[Tensor, Loss]]:
        """What the strategy makes of a batch: the images to train on, and their loss."""
        return partial(TRAINING_STRATEGIES.of(self.strategy).step, self.strategy)


def lr_at(step: int, total: int, config: TrainConfig) -> float:
    """Learning rate of a step: linear up to the peak, then a half cosine down to zero."""
    top = max(1.0, config.warmup * total)
    if step < top:
        return config.lr * (step + 1) / (top + 1)
    return config.lr * 0.5 * (1 + math.cos(math.pi * (step - top) / max(1.0, total - top)))


def accuracy(run: Callable[[Tensor], Tensor], split: Split, *, batch: int = 256) -> float:
    """Share of a split's images whose top-1 answer is the true label."""
    answers = predict(run, split.images, batch=batch).argmax(1)
    return float((answers == split.labels).double().mean())


def fit_(
    model: nn.Module,
    train: Split,
    selection: Split,
    config: TrainConfig,
    *,
    stage: str,
    device: torch.device,
    train_mode: Callable[[nn.Module], object] = nn.Module.train,
    before_step: Callable[[int, int], None] = lambda step, total: None,
    step_of: Callable[[Batch], tuple[Tensor, Loss]] | None = None,
    checkpoint: Path | None = None,
    control: Control = QUIET,
) -> list[float]:
    """Train a model in place; resumes from ``checkpoint`` if a run with this config left one.

    Args:
        model: float pixels in 0..1 to logits; moved to ``device``.
        train: rows to train on.
        selection: rows whose accuracy is measured after each epoch.
        config: the schedule.
        stage: what progress reports call it.
        device: where to train.
        train_mode: puts the model in the mode to train in (freeze BatchNorm here).
        before_step: called with (step, total) before each step.
        step_of: what is made of a batch: the images to train on, and the loss of their logits;
            None for the config's strategy.
        checkpoint: file that holds the state after the last whole epoch; removed at the end.
        control: told after each batch.

    Returns:
        Selection accuracy after each epoch of this call.

    Raises:
        CompdError: if there is nothing to train, or the loss becomes NaN or infinite.
    """
    model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    decay = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    plain = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    if not decay and not plain:
        raise ModelError(
            f"expected weights to train for {stage}, got none that are parameters and not frozen; "
            "register them as nn.Parameter, with requires_grad"
        )
    groups: list[dict[str, Any]] = [
        {"params": decay, "weight_decay": config.weight_decay},
        {"params": plain},
    ]
    optimiser = torch.optim.SGD(
        groups,
        lr=config.lr,
        momentum=config.momentum,
        nesterov=True,
    )
    images, labels = train.images.to(device), train.labels.to(device)
    size = max(2, min(config.batch, len(train) // 4))  # few images: still four steps an epoch
    batches = max(1, len(train) // size)  # whole batches: BatchNorm dislikes crumbs
    total = config.epochs * batches
    step_of = step_of or config.step
    history: list[float] = []

    def forward(x: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=config.bfloat16):
            logits: Tensor = model(x)
        return logits.float()  # (B, K)

    start = _resume_(model, optimiser, checkpoint, config)
    for epoch in range(start, config.epochs):
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + epoch)
        order = torch.randperm(len(train), generator=generator)
        train_mode(model)
        for i in range(batches):
            step = epoch * batches + i
            rows = order[i * size : (i + 1) * size].to(device)
            before_step(step, total)
            for group in optimiser.param_groups:
                group["lr"] = lr_at(step, total, config)
            x = crop_and_mirror(images[rows], config.pad, config.mirror, generator)
            x = cut_out(x, config.cutout, generator)
            [draws] = draws_at(config.seed, [_STRATEGY], step)
            batch = Batch(to_input(x, device), labels[rows], model, forward, draws)
            inputs, loss_of = step_of(batch)
            loss = loss_of(forward(inputs))
            control.check()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if i % 16 == 15 or i == batches - 1:  # reading the loss waits for the device
                value = float(loss.detach())
                if not math.isfinite(value):
                    raise SettingError(
                        f"expected a finite loss, got {value} at step {step} of {stage}; "
                        f"lower the learning rate (lr={config.lr})"
                    )
            if i < batches - 1:
                facts = {"loss": f"{value:.3f}"} if i >= 15 else {}
                if history:
                    facts["accuracy"] = f"{history[-1]:.2%}"
                control.report(stage, step + 1, total, facts)
        model.eval()
        with torch.inference_mode():
            history.append(accuracy(lambda x: model(to_input(x, device)), selection))
        if checkpoint is not None and epoch + 1 < config.epochs:
            _save(model, optimiser, checkpoint, config, epoch + 1)
        facts = {"epoch": f"{epoch + 1}/{config.epochs}", "accuracy": f"{history[-1]:.2%}"}
        control.report(stage, (epoch + 1) * batches, total, facts)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    model.eval()
    return history


def _save(
    model: nn.Module, optimiser: torch.optim.Optimizer, path: Path, config: TrainConfig, epoch: int
) -> None:
    state = {
        "config": config_hash(config.to_json()),
        "epoch": epoch,
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
    }
    buffer = io.BytesIO()
    torch.save(state, buffer)
    with disk_errors(path):
        write_atomic(path, buffer.getvalue(), sync=False)


def _resume_(
    model: nn.Module, optimiser: torch.optim.Optimizer, path: Path | None, config: TrainConfig
) -> int:
    """Load a checkpoint of the same config; return the epoch to go on with."""
    if path is None or not path.is_file():
        return 0
    before = copy.deepcopy(model.state_dict())
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if state["config"] != config_hash(config.to_json()):
            return 0
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        return int(state["epoch"])
    except Exception:  # a checkpoint is a convenience: a broken one means starting over
        model.load_state_dict(before)
        path.unlink()
        return 0
