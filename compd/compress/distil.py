"""Knowledge distillation (Hinton et al. 2015): a smaller network trained on the original's answers.

The student is another network, so nothing of the original is held: no mask, no ranges, and none of
its units is one of the original's.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compd.compress.base import Family, Tuning, check_fine_tuning, fine_tuning, unfrozen_
from compd.control import QUIET, Control
from compd.data import Splits
from compd.errors import ModelError, SettingError, unknown
from compd.models import ZOO, Classifier, build_zoo_model, check_model, load_factory, zoo_weights
from compd.models.factory import traceable
from compd.models.inputs import to_input
from compd.models.plain import plain
from compd.sizes import Size
from compd.training import Batch, Loss, fit_
from compd.wording import setting

__all__ = ["DISTIL", "Distilled", "distillation"]

_LARGEST = 1 << 12  # of a width


@dataclass(frozen=True)
class Distilled:
    """Settings of distillation."""

    student: str = "resnet20"  # a zoo name, or pkg.module:factory
    # of a zoo's student; None: its paper's, halved until the student has at most half of the
    # original's weights
    width: int | None = None
    temperature: float = 4.0  # tau
    label_weight: float = 0.1  # w, of the true labels beside the original's answers
    epochs: int = 20
    lr: float = 0.01  # the loss is steep (temperature²): at 0.05 a student without BatchNorm dies
    batch: int = 64
    seed: int = 0  # of the student's initial weights, and of the order of the data

    def __post_init__(self) -> None:
        if ":" not in self.student and self.student not in ZOO:
            raise unknown("student", self.student, [*ZOO, "pkg.module:factory"])
        if self.width is not None and ":" in self.student:
            raise SettingError(
                "width of a student with a zoo model only", student=self.student, width=self.width
            )
        if self.width is not None and not (type(self.width) is int and 1 <= self.width <= _LARGEST):
            raise SettingError(f"a student's width in 1..{_LARGEST}", width=self.width)
        if not 0 < self.temperature <= 1000 or not 0 <= self.label_weight <= 1:
            raise SettingError(
                "0 < temperature <= 1000 and 0 <= label_weight <= 1",
                temperature=self.temperature,
                label_weight=self.label_weight,
            )
        check_fine_tuning(self.epochs, self.lr, self.batch)


def distillation(
    logits: Tensor, answers: Tensor, labels: Tensor, *, temperature: float, label_weight: float
) -> Tensor:
    """Loss of a student: Hinton et al. 2015, section 2.

    ``temperature² · KL(original ‖ student) · (1 - label_weight) + label_weight · cross-entropy``,
    the divergence between probabilities at that temperature.

    Args:
        logits: the student's, (B, K).
        answers: the original's logits, (B, K), without gradient.
        labels: int64 (B,), true ones.
        temperature: tau; by which logits are divided.
        label_weight: w, in 0..1.

    Returns:
        The mean over the batch, in nats.
    """
    apart = F.kl_div(
        (logits / temperature).log_softmax(1),
        (answers / temperature).log_softmax(1),
        reduction="batchmean",
        log_target=True,
    )
    of_labels = F.cross_entropy(logits, labels)
    return temperature**2 * apart * (1 - label_weight) + of_labels * label_weight


def _make(
    config: Distilled,
    original: nn.Module,
    splits: Splits,
    *,
    device: torch.device,
    checkpoint: Path | None = None,
    control: Control = QUIET,
) -> nn.Module:
    student = unfrozen_(_empty(config, original, to_input(splits.train.images[:2])))
    teacher = copy.deepcopy(original).to(device).eval().requires_grad_(False)

    def step_of(batch: Batch) -> tuple[Tensor, Loss]:
        with torch.no_grad():
            answers = teacher(batch.images)  # (B, K)

        def loss(logits: Tensor) -> Tensor:
            return distillation(
                logits,
                answers,
                batch.labels,
                temperature=config.temperature,
                label_weight=config.label_weight,
            )

        return batch.images, loss

    fit_(
        student,
        splits.train,
        splits.selection,
        replace(fine_tuning(config, splits), bfloat16=device.type != "cpu"),
        stage=f"distilling to {config.student}",
        device=device,
        step_of=step_of,
        checkpoint=checkpoint,
        control=control,
    )
    return student.eval()


def _empty(config: Distilled, original: nn.Module, example: Tensor) -> nn.Module:
    """The student with its initial weights, behind the normalisation that the original has."""
    with torch.no_grad():
        classes = copy.deepcopy(original).cpu().eval()(example.cpu()).shape[1]
    channels, size = example.shape[1], Size(*example.shape[2:])
    front = original.normalise if isinstance(original, Classifier) else None
    mean = [0.5] * channels if front is None else front.mean.flatten().tolist()
    std = [0.25] * channels if front is None else front.std.flatten().tolist()
    if ":" not in config.student:
        return build_zoo_model(
            config.student,
            classes=classes,
            channels=channels,
            size=size,
            width=_width(config, original, classes=classes, channels=channels, size=size),
            mean=mean,
            std=std,
            seed=config.seed,
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        net = plain(load_factory(config.student), example.cpu(), config.student, None)
    student = net if front is None else Classifier(net, mean, std).eval()
    check_model(student, channels=channels, size=size, classes=classes, name=config.student)
    return traceable(student, example.cpu(), config.student)


def _width(
    config: Distilled, original: nn.Module, *, classes: int, channels: int, size: Size
) -> int:
    """The width of a zoo's student: as it was set, or such that it is a smaller network."""
    if config.width is not None:
        return config.width
    most = sum(weight.numel() for weight in original.parameters()) // 2
    width = ZOO[config.student].width
    while (
        found := zoo_weights(
            config.student, classes=classes, channels=channels, size=size, width=width
        )
    ) > most:
        if width == 1:
            raise ModelError(
                f"expected a student of at most half of the original's {2 * most} weights, got "
                f"student={config.student!r} with {found} at width 1; name a smaller one with "
                f"{setting('student')}, or its {setting('student_width')}"
            )
        width //= 2
    return width


def _fewest(config: Distilled, classes: int, channels: int, size: Size) -> int:
    if config.width is None or ":" in config.student:
        return 0  # a default width follows from the original's weights
    return zoo_weights(
        config.student, classes=classes, channels=channels, size=size, width=config.width
    )


def _tuning(config: Distilled, shadow: nn.Module, scales: bool) -> Tuning:
    return Tuning(sparing=True)  # it has fewer weights to follow the original with, too


DISTIL = Family(
    Distilled,
    _make,
    _empty,
    uses=("train", "selection"),
    tuning=_tuning,
    corresponds=False,
    code=lambda config: config.student if ":" in config.student else "",
    fewest_weights=_fewest,
)
