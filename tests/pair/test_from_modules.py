"""Pairs of objects: modules, functions, sessions of a runtime."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny import tiny_pair, tiny_splits
from tiny_states import EXAMPLE, GOOD, QUANTISED, net
from torch import Tensor, nn

import compd
from compd.compress import Ptq
from compd.corpus import Corpus, collect, judge_image, verify
from compd.corpus.opening import open_pair_of
from compd.errors import InputError, ModelError, SettingError
from compd.exporting import export
from compd.pair.requests import PairRecipe
from compd.search import Boundary, LeastMargin, SearchSettings, TargetClass

Refuses = Callable[..., AbstractContextManager[None]]

COARSE = Ptq(weight_bits=4)
IMAGES = tiny_splits().seeds.images[:24]
FEW = IMAGES[:4]  # where a search has no gradients


class Output(nn.Module):
    """Answers as the models of transformers do."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.net(x), hidden_states=None)


def confirmed(
    found: list[compd.Finding], pair: compd.Pair, ships: Callable[[Tensor], Tensor]
) -> None:
    """Each finding, told by the models themselves."""
    for one in found:
        with torch.inference_mode():
            said = int(pair.original(one.image[None] / 255).argmax())
        assert said == one.original.label == one.seed_label
        assert int(ships(one.image[None]).argmax()) == one.deployed.label != said


def test_two_modules_and_a_shadow() -> None:
    ours = tiny_pair(COARSE)
    before = {key: value.clone() for key, value in ours.original.state_dict().items()}
    pair = compd.Pair.from_modules(
        ours.original.train(), ours.shadow, shadow=ours.shadow, example=IMAGES[:1], classes="abc"
    )
    assert ours.original.training  # a caller's model is never changed
    ours.original.eval()
    found = list(compd.fuzz(pair, IMAGES, eps=24, goal="severe"))
    assert len(found) > len(IMAGES) // 2
    confirmed(found, ours, lambda x: ours.shadow(x / 255))
    assert {one.original.name for one in found} <= {"a", "b", "c"}
    assert str(found[0]).startswith("images[")
    assert all(torch.equal(before[k], v) for k, v in ours.original.state_dict().items())
    # the same search as of the pair that these modules came from
    same = {one.sha256 for one in compd.fuzz(ours, IMAGES, eps=24, goal="severe")}
    assert {one.sha256 for one in found} == same


def test_a_module_and_a_lambda() -> None:
    ours = tiny_pair(COARSE)
    pair = compd.Pair.from_modules(
        ours.original, lambda images: ours.deployed.run(images).numpy(), example=IMAGES[:1]
    )
    campaign = compd.fuzz(pair, FEW, eps=24)
    found = list(campaign)
    assert found
    confirmed(found, ours, ours.deployed.run)
    assert any("blackbox instead of boundary" in note for note in campaign.summary().notes)
    assert any("no gradients" in note for note in pair.notes)


def test_two_sessions_of_onnx_runtime() -> None:
    ort = pytest.importorskip("onnxruntime", reason="needs the extra compd[onnx]")
    from tiny_files import onnx_files

    def session(path: Path) -> Callable[[Tensor], np.ndarray]:
        run = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
        (into,) = run.get_inputs()

        def call(images: Tensor) -> np.ndarray:
            return run.run(None, {into.name: images.numpy().astype(np.float32) / 255})[0]

        return call

    original, deployed = map(session, onnx_files())
    pair = compd.Pair.from_modules(original, deployed, example=IMAGES[:1])
    assert not pair.has_shadow
    found = list(compd.fuzz(pair, FEW, eps=16))
    assert found
    for one in found:
        image = one.image[None]
        assert int(original(image).argmax()) == one.seed_label
        assert int(deployed(image).argmax()) == one.deployed.label != one.seed_label
    seen = compd.evaluate(pair, IMAGES)
    assert seen.natural_disagreement == float(
        np.mean([original(i[None]).argmax() != deployed(i[None]).argmax() for i in IMAGES])
    )


def test_an_output_with_logits_and_a_normalisation_in_front() -> None:
    ours = tiny_pair()
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    pair = compd.Pair.from_modules(
        Output(ours.original), Output(ours.shadow), mean=mean, std=std, example=IMAGES[:1] / 255
    )
    x = (IMAGES / 255 - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)
    with torch.inference_mode():
        want = ours.original(x)
    torch.testing.assert_close(pair.reference.run(IMAGES), want, rtol=1e-4, atol=1e-4)


def test_it_is_checked_stored_and_replayed(tmp_path: Path) -> None:
    ours = tiny_pair(COARSE)
    pair = compd.Pair.from_modules(
        ours.original, ours.deployed.run, shadow=ours.shadow, example=IMAGES[:1]
    )
    look = compd.check(pair, IMAGES)
    assert look.faults == ()
    assert look.shadow == "own"
    corpus = Corpus(tmp_path / "corpus", create=True)
    campaign = compd.fuzz(pair, IMAGES, eps=24, strategy=Boundary(steps=6))
    assert sum(collect(campaign, corpus)) == len(corpus) > 0
    assert all(one.holds for one in verify(Corpus(tmp_path / "corpus"), pair))
    with pytest.raises(InputError, match="can build again"):
        pair.save(tmp_path / "pair")


def test_labels_and_a_batch_of_one() -> None:
    ours = tiny_pair()
    sizes: list[int] = []

    def one_at_a_time(images: Tensor) -> Tensor:
        sizes.append(len(images))
        return ours.deployed.run(images)

    pair = compd.Pair.from_modules(ours.original, one_at_a_time, example=IMAGES[:1], batch=1)
    split = tiny_splits().seeds.first(24)
    seen = compd.evaluate(pair, split.images, labels=split.labels)
    assert seen.accuracy(seen.deployed) == float(
        (ours.deployed.run(split.images).argmax(1) == split.labels).double().mean()
    )
    list(compd.fuzz(pair, IMAGES[:4], eps=16, strategy="blackbox:queries=20"))
    assert set(sizes) == {1}


def test_without_an_example_the_classes_are_enough() -> None:
    ours = tiny_pair(COARSE)
    pair = compd.Pair.from_modules(ours.original, ours.deployed.run, classes=("a", "b", "c"))
    assert list(compd.fuzz(pair, IMAGES[:6], eps=24))


def test_fingerprints_tell_code_apart() -> None:
    ours = tiny_pair()

    def made(deployed: Callable[[Tensor], Tensor]) -> dict[str, str]:
        return compd.Pair.from_modules(ours.original, deployed, example=IMAGES[:1]).hashes

    def first(images: Tensor) -> Tensor:
        return ours.deployed.run(images)

    def second(images: Tensor) -> Tensor:
        return ours.deployed.run(images) * 2

    assert made(first) == made(first)
    assert made(first)["original"] == made(second)["original"]
    assert made(first)["deployed"] != made(second)["deployed"]


def test_objectives_say_what_counts() -> None:
    ours = tiny_pair(COARSE)
    target = ours.classes[1]
    every = list(compd.fuzz(ours, IMAGES, eps=24, goal="severe"))
    objective = TargetClass(target) & LeastMargin(0.05)
    some = list(compd.fuzz(ours, IMAGES, eps=24, goal="severe", objective=objective))
    assert 0 < len(some) < len(every)
    assert all(one.deployed.name == target and one.severity >= 0.05 for one in some)
    told = SearchSettings(objective=objective).to_json()
    assert [part["kind"] for part in told["objective"]] == ["TargetClass", "LeastMargin"]
    with pytest.raises(SettingError, match="one target class"):
        TargetClass("red") & TargetClass("blue")
    with pytest.raises(SettingError, match="'yellow'"):
        compd.fuzz(ours, IMAGES, objective=TargetClass("yellow"))


@pytest.mark.parametrize(
    ("how", "error", "said"),
    [
        ({"original": 3}, SettingError, "callable as original, got int"),
        ({"deployed": None}, SettingError, "callable as deployed"),
        ({"shadow": len}, SettingError, "torch.nn.Module as shadow"),
        ({"example": None}, SettingError, "example=None, classes=None"),
        ({"example": IMAGES[0, 0]}, SettingError, "images (N, C, H, W)"),
        ({"example": IMAGES[:1] / 127.5 - 1}, InputError, "floats in 0..1"),
        ({"example": IMAGES[:1, :2]}, InputError, "1 or 3 channels"),
        ({"classes": ("a", "b")}, ModelError, "2 names"),
        ({"classes": ("a", "a", "b")}, SettingError, "different class names"),
        ({"mean": (0.5,)}, SettingError, "mean and std together"),
        ({"batch": 0}, SettingError, "batch=0"),
        ({"deployed": lambda images: images}, ModelError, "numbers (N, K)"),
        ({"deployed": lambda images: images[:, 0, 0, :2] / 0.0}, ModelError, "of the original"),
        ({"deployed": lambda images: 1 / 0}, ModelError, "ZeroDivisionError"),
    ],
)
def test_what_does_not_fit_is_told(
    how: dict[str, object], error: type[Exception], said: str
) -> None:
    ours = tiny_pair()
    given = {"original": ours.original, "deployed": ours.deployed.run, "example": IMAGES[:1], **how}
    with pytest.raises(error, match=re.escape(said)) as caught:
        compd.Pair.from_modules(**given)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wrong", [3, IMAGES / 510, IMAGES[0, 0]], ids=["number", "floats", "one"])
def test_what_are_no_images_is_told(wrong: object, refuses: Refuses) -> None:
    with refuses("images"):
        compd.fuzz(tiny_pair(), wrong)  # type: ignore[arg-type]


def test_what_ships_is_never_exported_as_its_shadow(tmp_path: Path) -> None:
    ours = tiny_pair(COARSE)
    pair = compd.Pair.from_modules(
        ours.original, ours.deployed.run, shadow=ours.shadow, example=IMAGES[:1]
    )
    with pytest.raises(ModelError, match="an artifact already"):
        export(pair, "safetensors", tmp_path / "a.safetensors", of="deployed")
    assert not list(tmp_path.iterdir())
    assert export(pair, "safetensors", tmp_path / "a.safetensors").of == "original"


def test_a_shadow_is_run_on_the_example() -> None:
    ours = tiny_pair(COARSE)
    for shadow, said in (
        (nn.Sequential(nn.Flatten(), nn.Linear(5, 3)), "RuntimeError"),
        (nn.Sequential(nn.Flatten(), nn.LazyLinear(7)), "7 of the shadow"),
    ):
        if said.startswith("7"):
            shadow(IMAGES[:1] / 255)
        with pytest.raises(ModelError, match=said):
            compd.Pair.from_modules(
                ours.original, ours.deployed.run, shadow=shadow, example=IMAGES[:1]
            )


def test_two_methods_of_one_server_are_two_models() -> None:
    ours = tiny_pair(COARSE)

    class Server:
        """What it holds cannot be hashed."""

        __slots__ = ("run",)

        def __init__(self, run: Callable[[Tensor], Tensor]) -> None:
            self.run = run

        def __call__(self, images: Tensor) -> Tensor:
            return self.run(images)

    first, second = Server(ours.reference.run), Server(ours.deployed.run)
    pair = compd.Pair.from_modules(first, second, example=IMAGES[:1])
    assert compd.check(pair, IMAGES).faults == ()
    same = compd.Pair.from_modules(first, first, example=IMAGES[:1])
    assert any("got the same one" in fault for fault in compd.check(same, IMAGES).faults)


def test_a_corpus_of_objects_is_not_asked_for_as_files(tmp_path: Path) -> None:
    ours = tiny_pair(COARSE)
    pair = compd.Pair.from_modules(ours.original, ours.deployed.run, example=IMAGES[:1])
    corpus = Corpus(tmp_path / "corpus", create=True)
    assert sum(collect(compd.fuzz(pair, IMAGES, eps=24, limit=2), corpus))
    with pytest.raises(SettingError, match="objects of a Python process") as raised:
        open_pair_of(corpus, PairRecipe())
    assert "--original" not in raised.value.message.as_options()


def test_a_callable_original_is_what_lacks_gradients() -> None:
    ours = tiny_pair(COARSE)
    pair = compd.Pair.from_modules(
        ours.reference.run, ours.deployed.run, shadow=ours.shadow, example=IMAGES[:1]
    )
    campaign = compd.fuzz(pair, IMAGES[:2], eps=8)
    assert "blackbox instead of boundary: the pair has no original to differentiate" in (
        campaign.notes
    )


def test_a_picture_with_labels_of_another_pair_is_one_line(tmp_path: Path) -> None:
    ours = tiny_pair(COARSE)
    corpus = Corpus(tmp_path / "corpus", create=True)
    sum(collect(compd.fuzz(ours, IMAGES, eps=24, limit=4), corpus))
    record = replace(next(iter(corpus)), seed_label=99)
    with pytest.raises(InputError, match="label=99"):
        judge_image(ours, IMAGES[0], record)
    found = judge_image(ours, corpus.image(next(iter(corpus))), next(iter(corpus)))
    assert found.severity == round(found.severity, 6) == next(iter(corpus)).severity


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("state", QUANTISED)
def test_what_is_quantised_already_is_a_deployed_model(state: str) -> None:
    deployed = QUANTISED[state](net())
    engine = torch.backends.quantized.engine
    images = (EXAMPLE * 255).round().to(torch.uint8)
    pair = compd.Pair.from_modules(net(), deployed, example=images, output="logits")
    with torch.no_grad():
        alone = torch.cat([deployed(image[None] / 255).dequantize() for image in images])
    torch.testing.assert_close(pair.deployed.run(images), alone, atol=1e-5, rtol=0)
    assert torch.backends.quantized.engine == engine
    assert pair.hashes["deployed"] != pair.hashes["original"]


@pytest.mark.parametrize("state", ["DataParallel", "weight norm", "spectral norm", "half", "hooks"])
def test_a_module_in_another_state_is_run_as_it_is(state: str) -> None:
    original = GOOD[state](net())
    pair = compd.Pair.from_modules(original, net(), example=IMAGES, output="logits")
    with torch.no_grad():
        dtype = next(original.parameters()).dtype
        said = original((IMAGES / 255).to(dtype)).float()
    torch.testing.assert_close(pair.reference.run(IMAGES), said, atol=1e-2, rtol=0)


def test_a_census_of_modules() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 6, 3)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dynamic = torch.ao.quantization.quantize_dynamic(net, {nn.Linear})
    example = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    pair = compd.Pair.from_modules(net, dynamic, example=example)
    assert pair.deployed.census == {"float32": {"Conv2d": 1}, "int8": {"Linear": 1}}
    assert compd.Pair.from_modules(net, net, example=example).deployed.census == {
        "float32": {"Conv2d": 1, "Linear": 1}
    }
