from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from compd.control import Control, Progress
from compd.data import Split
from compd.models import build_zoo_model, state_hash
from compd.models.inputs import to_input
from compd.training import TrainConfig, accuracy, fit_
from compd.training.augment import crop_and_mirror, cut_out
from compd.training.loop import lr_at

CPU = torch.device("cpu")
CONFIG = TrainConfig(epochs=3, batch=16, lr=0.05, pad=1)


def split(n: int, seed: int = 0) -> Split:
    """Noise with a bright half: left in class 0, right in class 1."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    images = rng.integers(0, 128, (n, 3, 8, 8))
    for image, label in zip(images, labels, strict=True):
        image[:, :, 4 * label : 4 * label + 4] += 127
    return Split(
        data="halves",
        name="train",
        source="all",
        start=0,
        shuffled=False,
        images=torch.from_numpy(images.astype(np.uint8)),
        labels=torch.from_numpy(labels),
        index=torch.arange(n),
    )


def model(seed: int = 0) -> nn.Module:
    return build_zoo_model("resnet20", classes=2, width=2, size=8, seed=seed)


TRAIN, SELECTION = split(64), split(32, seed=1)


def fit(net: nn.Module, config: TrainConfig = CONFIG, **how: Any) -> list[float]:
    return fit_(net, TRAIN, SELECTION, config, stage="training", device=CPU, **how)


class Interrupted(Exception):
    pass


def interrupt_after(steps: int) -> Control:
    def report(progress: Progress) -> None:
        if progress.done > steps:
            raise Interrupted

    return Control(report)


@given(
    st.integers(2, 400),
    st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9]),
    st.sampled_from([0.01, 0.1, 1]),
)
def test_the_learning_rate_rises_then_falls(total: int, warmup: float, peak: float) -> None:
    config = TrainConfig(lr=peak, warmup=warmup)
    rates = [lr_at(step, total, config) for step in range(total)]
    assert all(0 < rate <= peak for rate in rates)
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert abs(top - max(1.0, warmup * total)) <= 1


def test_the_learning_rate_at_its_ends() -> None:
    config = TrainConfig(lr=0.4, warmup=0.25)
    assert lr_at(100, 400, config) == 0.4
    assert lr_at(250, 400, config) == pytest.approx(0.2)
    assert lr_at(400, 400, config) == pytest.approx(0.0)
    assert lr_at(0, 400, config) < 0.01


@pytest.mark.parametrize(
    ("wrong", "culprit"),
    [
        ({"epochs": 0}, "epochs=0"),
        ({"batch": 1}, "batch=1"),
        ({"lr": 0.0}, "lr=0.0"),
        ({"lr": float("nan")}, "lr=nan"),
        ({"cutout": -1}, "cutout=-1"),
    ],
)
def test_a_config_that_makes_no_sense(wrong: dict[str, Any], culprit: str, refuses: Any) -> None:
    with refuses(culprit):
        TrainConfig(**wrong)


def test_accuracy_is_the_share_of_right_answers() -> None:
    def left_or_right(images: Tensor) -> Tensor:
        columns = images.float().mean((1, 2))  # (N, W)
        return torch.stack([columns[:, :4].mean(1), columns[:, 4:].mean(1)], 1)

    assert accuracy(left_or_right, SELECTION, batch=5) == 1.0
    assert accuracy(lambda x: -left_or_right(x), SELECTION) == 0.0
    always = accuracy(lambda x: torch.tensor([[1.0, 0.0]]).expand(len(x), 2), SELECTION)
    assert always == float((SELECTION.labels == 0).double().mean())


def test_training_learns_and_reports_each_step() -> None:
    seen: list[Progress] = []
    before = TRAIN.images.clone()
    net = model()
    history = fit(net, replace(CONFIG, epochs=6, mirror=False), control=Control(seen.append))
    assert len(history) == 6
    assert history[-1] > 0.9
    with torch.inference_mode():
        assert accuracy(lambda x: net(to_input(x)), SELECTION) == history[-1]
    assert not net.training
    assert torch.equal(TRAIN.images, before)
    assert [progress.done for progress in seen] == list(range(1, 25))
    assert {(progress.stage, progress.total) for progress in seen} == {("training", 24)}
    assert seen[-1].facts == {"epoch": "6/6", "accuracy": f"{history[-1]:.2%}"}


def test_equal_runs_are_equal_and_the_seed_matters(one_thread: None) -> None:
    hashes: list[str] = []
    for seed in (0, 0, 1):
        torch.manual_seed(len(hashes))  # the global generator plays no part
        net = model()
        fit(net, replace(CONFIG, epochs=1, seed=seed))
        hashes.append(state_hash(net.state_dict()))
    assert hashes[0] == hashes[1] != hashes[2]


def test_each_epoch_draws_its_batches_anew() -> None:
    net = model()
    seen: list[Tensor] = []
    net.register_forward_pre_hook(lambda net, args: seen.append(args[0]) if net.training else None)
    fit(net, replace(CONFIG, pad=0, mirror=False))
    epochs = [torch.cat(seen[i : i + 4]).sum((1, 2, 3)) for i in (0, 4, 8)]
    assert not torch.equal(epochs[0], epochs[1])
    assert not torch.equal(epochs[1], epochs[2])
    for epoch in epochs:  # each row once
        torch.testing.assert_close(epoch.sort().values, epochs[0].sort().values)


@pytest.mark.parametrize("steps", [4, 6, 8, 11])
def test_a_resumed_run_equals_one_that_was_never_interrupted(
    tmp_path: Path, one_thread: None, steps: int
) -> None:
    whole = model()
    history = fit(whole)
    file = tmp_path / "made" / "checkpoint.pt"
    with pytest.raises(Interrupted):
        fit(model(), checkpoint=file, control=interrupt_after(steps))
    assert file.is_file()
    resumed = model(seed=7)  # whatever the weights are: those of the checkpoint replace them
    rest = fit(resumed, checkpoint=file)
    assert rest == history[steps // 4 :]
    assert state_hash(resumed.state_dict()) == state_hash(whole.state_dict())
    assert list(file.parent.iterdir()) == []


def test_a_checkpoint_of_another_config_is_not_used(tmp_path: Path, one_thread: None) -> None:
    file = tmp_path / "checkpoint.pt"
    with pytest.raises(Interrupted):
        fit(model(), checkpoint=file, control=interrupt_after(9))
    other = replace(CONFIG, epochs=2, lr=0.01)
    resumed, whole = model(), model()
    assert fit(resumed, other, checkpoint=file) == fit(whole, other)
    assert state_hash(resumed.state_dict()) == state_hash(whole.state_dict())


@pytest.mark.parametrize("content", [b"", b"PK\3\4 torn", "a list", "other keys"])
def test_a_broken_checkpoint_means_starting_over(tmp_path: Path, content: bytes | str) -> None:
    file = tmp_path / "checkpoint.pt"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save([1, 2] if content == "a list" else {"weights": 1}, file)
    assert len(fit(model(), replace(CONFIG, epochs=1), checkpoint=file)) == 1
    assert not file.exists()


def test_a_loss_that_is_not_finite_is_told(refuses: Any) -> None:
    net = model()
    with torch.no_grad():
        next(net.parameters()).fill_(float("nan"))
    with refuses("finite loss", "nan", "step 3 of training", "lr=0.05"):
        fit(net)


def test_frozen_parameters_and_hooks() -> None:
    net = model()
    net.get_submodule("net.conv1").requires_grad_(False)
    before = net.get_parameter("net.conv1.weight").clone()
    statistics = net.get_buffer("net.bn1.running_mean").clone()
    steps: list[tuple[int, int]] = []
    fit(
        net,
        replace(CONFIG, epochs=2),
        train_mode=nn.Module.eval,
        before_step=lambda step, total: steps.append((step, total)),
    )
    assert steps == [(step, 8) for step in range(8)]
    assert torch.equal(net.get_parameter("net.conv1.weight"), before)
    assert torch.equal(net.get_buffer("net.bn1.running_mean"), statistics)


def test_fewer_rows_than_a_batch_make_one_batch() -> None:
    history = fit_(model(), split(10), SELECTION, replace(CONFIG, epochs=2), stage="s", device=CPU)
    assert len(history) == 2


@given(
    st.integers(0, 3),
    st.booleans(),
    st.integers(0, 999),
    st.integers(1, 6),
    st.integers(2, 6),
    st.sampled_from([1, 3]),
)
def test_augmentation_shifts_and_mirrors_and_nothing_else(
    pad: int, mirror: bool, seed: int, height: int, width: int, channels: int
) -> None:
    rng = np.random.default_rng(seed)
    images = torch.from_numpy(rng.integers(1, 256, (4, channels, height, width), dtype=np.uint8))
    out = crop_and_mirror(images, pad, mirror, torch.Generator().manual_seed(seed))
    assert out.dtype == torch.uint8
    again = crop_and_mirror(images, pad, mirror, torch.Generator().manual_seed(seed))
    assert torch.equal(out, again)
    for image, result in zip(images, out, strict=True):
        padded = nn.functional.pad(image, (pad, pad, pad, pad))
        possible = [
            view.flip(2) if flip else view
            for top in range(2 * pad + 1)
            for left in range(2 * pad + 1)
            for view in [padded[:, top : top + height, left : left + width]]
            for flip in ((False, True) if mirror else (False,))
        ]
        assert any(torch.equal(result, view) for view in possible)


@given(
    st.integers(0, 9),
    st.integers(0, 999),
    st.integers(1, 6),
    st.integers(2, 6),
    st.sampled_from([1, 3]),
)
def test_cutout_blacks_out_one_square_and_nothing_else(
    side: int, seed: int, height: int, width: int, channels: int
) -> None:
    rng = np.random.default_rng(seed)
    images = torch.from_numpy(rng.integers(1, 256, (4, channels, height, width), dtype=np.uint8))
    before = images.clone()
    out = cut_out(images, side, torch.Generator().manual_seed(seed))
    assert torch.equal(images, before)
    assert torch.equal(out, cut_out(images, side, torch.Generator().manual_seed(seed)))
    for image, result in zip(images, out, strict=True):
        hole = (result == 0).all(0)  # the images have no black pixel of their own
        assert torch.equal(result, image.masked_fill(hole, 0))
        rows, columns = hole.any(1), hole.any(0)
        assert int(hole.sum()) == int(rows.sum()) * int(columns.sum())  # a full rectangle
        assert int(rows.sum()) <= side
        assert int(columns.sum()) <= side
        # its middle lies inside, so at least half of each side does
        assert int(rows.sum()) >= min(side // 2, height)
        assert (side == 0) == (int(hole.sum()) == 0)


def test_bfloat16_is_the_arithmetic_and_not_the_weights() -> None:
    for wanted, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        net, seen = model(), set[torch.dtype]()
        net.get_submodule("net.conv1").register_forward_hook(
            lambda module, args, out, seen=seen: seen.add(out.dtype) if module.training else None
        )
        history = fit(net, replace(CONFIG, epochs=6, mirror=False, bfloat16=wanted))
        assert seen == {dtype}
        assert {p.dtype for p in net.parameters()} == {torch.float32}
        assert history[-1] > 0.9
