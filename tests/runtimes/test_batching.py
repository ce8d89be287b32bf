"""Models whose answer to an image depends on its batch: found out, and asked image by image.

Each verdict is compared with the runtime itself, called with one image at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from tiny import SIZE, tiny_original, tiny_splits
from tiny_files import onnx_files, photos
from tiny_onnx import graph, node, noise
from torch import Tensor, nn

import compd
from compd.corpus import Corpus, collect, verify
from compd.pair.from_files import pair_of_files
from compd.pair.preflight import check
from compd.runtimes import FloatRuntime, open_file
from compd.runtimes.batching import Batching, batching_of, dynamic_layers, probe_images
from compd.runtimes.converted import converted_file
from compd.search import StabilityCheck

IMAGES = tiny_splits().seeds.images[:40]


def one_by_one(path: Path, images: Tensor, *, fixed: int = 1) -> np.ndarray:
    """What ONNX Runtime says of each image alone."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    x = images.numpy().astype(np.float32) / 255
    return np.concatenate(
        [session.run(None, {given.name: np.repeat(one[None], fixed, 0)})[0][:1] for one in x]
    )


def dynamic(tmp_path: Path, *, batch: int | None = None) -> Path:
    """By ONNX Runtime's own dynamic quantiser."""
    path = tmp_path / f"dynamic-{batch}.onnx"
    quantize_dynamic(onnx_files()[0], path, weight_type=QuantType.QUInt8)
    if batch is not None:
        model = onnx.load(path)
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = batch
        onnx.save(model, path)
    return path


def own_range(tmp_path: Path) -> Path:
    """A range over the whole batch in plain operators, as some exporters write it."""
    weight = noise(3 * SIZE * SIZE, 3, scale=0.2)
    model = graph(
        [
            node("ReduceMax", "image", "most", keepdims=0),
            node("Div", "most levels", "step"),
            node("Div", "image step", "steps"),
            node("Floor", "steps", "whole"),
            node("Mul", "whole step", "rounded"),
            node("Flatten", "rounded", "flat"),
            node("MatMul", "flat weight", "y"),
        ],
        {"image": ["N", 3, SIZE, SIZE]},
        constants={"weight": weight, "levels": np.array(7, np.float32)},
    )
    path = tmp_path / "own.onnx"
    onnx.save(model, path)
    return path


def for_one(tmp_path: Path) -> Path:
    """Says that it takes any number of images, and takes one."""
    model = graph(
        [node("Reshape", "image sizes", "flat"), node("MatMul", "flat weight", "y")],
        {"image": ["N", 3, SIZE, SIZE]},
        constants={
            "weight": noise(3 * SIZE * SIZE, 3, scale=0.2),
            "sizes": np.array([1, 3 * SIZE * SIZE]),
        },
    )
    path = tmp_path / "one.onnx"
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    ("make", "fixed", "batching"),
    [
        (dynamic, 1, Batching.DEPENDS),
        (lambda folder: dynamic(folder, batch=4), 4, Batching.DEPENDS),
        (own_range, 1, Batching.DEPENDS),
        (for_one, 1, Batching.ONE),
        (lambda folder: onnx_files()[1], 1, Batching.ANY),
        (lambda folder: onnx_files()[0], 1, Batching.ANY),
    ],
    ids=["dynamic", "fixed", "own", "one", "static", "float"],
)
def test_answers_are_those_of_each_image_alone(
    make: Callable[[Path], Path], fixed: int, batching: Batching, tmp_path: Path
) -> None:
    path = make(tmp_path)
    runtime = open_file(path)
    assert runtime.batching is batching
    want = torch.from_numpy(one_by_one(path, IMAGES, fixed=fixed))
    torch.testing.assert_close(runtime.run(IMAGES), want, rtol=1e-4, atol=1e-5)
    module = converted_file(runtime)  # the shadow has the ranges of each image, too
    assert module.alone is (batching is Batching.DEPENDS)
    here = FloatRuntime(module, torch.device("cpu")).run(IMAGES)
    torch.testing.assert_close(here, want, rtol=1e-2, atol=2e-2)


def test_a_dynamic_file_from_check_to_verify(tmp_path: Path) -> None:
    path = dynamic(tmp_path)
    pair, splits = pair_of_files(onnx_files()[0], path, data=str(photos()))
    original, deployed = (one_by_one(file, splits.seeds.images) for file in (onnx_files()[0], path))
    look = check(pair, splits.seeds)
    assert look.files[1].batching == "depends"
    assert look.shadow == "converted"
    apart = original.argmax(1) != deployed.argmax(1)
    assert look.natural_disagreement == pytest.approx(float(apart.mean()))
    labels = splits.seeds.labels.numpy()
    assert look.deployed_accuracy == pytest.approx(float((deployed.argmax(1) == labels).mean()))
    corpus = Corpus(tmp_path / "corpus", create=True)
    stability = StabilityCheck(pair)
    assert sum(collect(compd.fuzz(pair, splits, eps=16, limit=40), corpus, stability=stability))
    assert set(stability.counts) == {"stable"}
    images = torch.stack([corpus.image(one) for one in corpus])
    first, second = (one_by_one(file, images).argmax(1) for file in (onnx_files()[0], path))
    assert (first != second).all()
    assert [one.deployed.label for one in corpus] == second.tolist()
    assert all(one.holds for one in verify(Corpus(tmp_path / "corpus"), pair))
    pair.batch = 3  # how many are asked for at once is nobody's matter
    assert all(one.holds for one in verify(corpus, pair))


class Normalises(nn.Module):
    """By the statistics of whatever is in the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3, track_running_stats=False)
        self.net = tiny_original()

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.net(self.norm(x) * 0.2 + 0.5)
        return found


class Ranges(nn.Module):
    """Rounds to steps of the batch's range, in no layer that has a name."""

    def __init__(self) -> None:
        super().__init__()
        self.net = tiny_original()

    def forward(self, x: Tensor) -> Tensor:
        step = x.amax() / 5
        found: Tensor = self.net((x / step).round() * step)
        return found


def torch_dynamic() -> nn.Module:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 16), nn.ReLU(), nn.Linear(16, 3))
    torch.manual_seed(0)
    for layer in net:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.1)
    made: nn.Module = torch.ao.quantization.quantize_dynamic(net, {nn.Linear})
    return made


@pytest.mark.parametrize("make", [Normalises, Ranges, torch_dynamic])
@pytest.mark.parametrize("wrapped", [False, True], ids=["module", "function"])
def test_modules_and_functions(make: Callable[[], nn.Module], wrapped: bool) -> None:
    module = make().eval()

    def alone(images: Tensor) -> Tensor:
        with torch.inference_mode():
            return torch.cat([module(one[None].float() / 255) for one in images])

    def together(images: Tensor) -> Tensor:
        with torch.inference_mode():
            found: Tensor = module(images.float() / 255)
            return found

    pair = compd.Pair.from_modules(
        tiny_original(), together if wrapped else module, example=IMAGES[:1]
    )
    torch.testing.assert_close(pair.deployed.run(IMAGES), alone(IMAGES), rtol=1e-3, atol=1e-5)
    assert not torch.allclose(together(IMAGES), alone(IMAGES), rtol=1e-4, atol=1e-3)
    assert pair.deployed.batching is Batching.DEPENDS
    assert compd.check(pair, IMAGES).files[1].batching == "depends"
    for one in compd.fuzz(pair, IMAGES[:8], eps=24, strategy="blackbox:queries=200"):
        assert int(alone(one.image[None]).argmax()) == one.deployed.label


def test_layers_that_compute_over_a_batch_are_named() -> None:
    assert dynamic_layers(Normalises()) == ["norm"]
    assert dynamic_layers(torch_dynamic()) == ["1", "3"]
    assert dynamic_layers(tiny_original()) == []


def test_what_differs_from_call_to_call_is_not_called_batch_dependent() -> None:
    calls: list[int] = []

    def flaky(images: Tensor) -> Tensor:
        calls.append(len(images))
        return images.flatten(1)[:, :3].float() * (1 + len(calls) % 7)

    found, alone = batching_of(flaky, probe_images(3, 8, 8))
    assert found is Batching.ANY
    assert alone.shape == (4, 3)


def test_probes_differ_in_range_and_are_the_same_each_time() -> None:
    images = probe_images(3, 16, 16)
    assert torch.equal(images, probe_images(3, 16, 16))
    assert images.dtype == torch.uint8
    assert len({(int(one.min()) // 8, int(one.max()) // 8) for one in images}) == 4
