"""LiteRT files that Keras made (``benchmarks/keras_files.py`` wrote them)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from compd.errors import CompdError
from compd.pair.from_files import pair_of_files
from compd.pair.preflight import check
from compd.runtimes import Overrides, open_file
from compd.search import Blackbox, fuzz

Refuses = Callable[..., Any]
ASSETS = Path(__file__).parents[1] / "assets"
PIXELS = Overrides(range=(-1.0, 1.0))  # what the network was trained on
KINDS = ("float", "hybrid", "float16", "int8")


def colours(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = np.random.default_rng(5)
    labels = draw.integers(0, 3, count)
    images = draw.integers(60, 180, (count, 3, 8, 8))
    images[np.arange(count), labels] += 20
    return torch.from_numpy(images.astype(np.uint8)), torch.from_numpy(labels)


@pytest.mark.parametrize("kind", KINDS)
def test_answers(kind: str) -> None:
    images, labels = colours(90)
    runtime = open_file(ASSETS / f"{kind}.tflite", PIXELS)
    form = runtime.format
    assert (form.layout, form.classes, form.output) == ("NHWC", 3, "probs")
    logits = runtime.run(images)
    torch.testing.assert_close(logits.softmax(1).sum(1), torch.ones(90))
    assert float((logits.argmax(1) == labels).double().mean()) > 0.8
    # whatever the batch
    alone = torch.cat([runtime.run(images[i : i + 1]) for i in range(90)])
    assert float((alone.argmax(1) != logits.argmax(1)).double().mean()) < 0.03
    plain = runtime.plain().run(images)
    assert float((plain.argmax(1) != logits.argmax(1)).double().mean()) < 0.05


def test_what_the_int8_file_says_of_its_input() -> None:
    form = open_file(ASSETS / "int8.tflite").format
    assert form.dtype == "int8"
    assert form.range == (-1.0, 1.0)
    assert form.qparams is not None
    assert form.output_qparams is not None


@pytest.mark.parametrize(
    ("kind", "computes"),
    [("float", "float32"), ("hybrid", "hybrid"), ("int8", "int8")],
)
def test_census(kind: str, computes: str) -> None:
    census = open_file(ASSETS / f"{kind}.tflite", PIXELS).census
    assert computes in census
    assert ("int8" in census) == (kind == "int8")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_compressed(kind: str) -> None:
    parts = {
        "float": (),
        "hybrid": ("int8",),
        "float16": ("DEQUANTIZE", "float16"),
        "int8": ("int8",),
    }
    assert open_file(ASSETS / f"{kind}.tflite", PIXELS).compressed == parts[kind]


def test_a_float16_file_is_a_compressed_one(folder: Path) -> None:
    files = (ASSETS / "float.tflite", ASSETS / "float16.tflite")
    pair, splits = pair_of_files(*files, data=str(folder), overrides=PIXELS)
    assert check(pair, splits.seeds).faults == ()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i, image in enumerate(colours(24)[0]):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(tmp_path / f"{i:02}.png")
    return tmp_path


def test_a_hybrid_file_is_searched_with_gradients_and_without(folder: Path) -> None:
    files = (ASSETS / "float.tflite", ASSETS / "hybrid.tflite")
    pair, splits = pair_of_files(*files, data=str(folder), overrides=PIXELS)
    assert pair.has_shadow
    assert not pair.notes
    reached = {finding.seed_row for finding in fuzz(pair, splits.seeds)}
    campaign = fuzz(pair, splits.seeds, strategy=Blackbox(queries=600))
    found = {finding.seed_row for finding in campaign}
    assert len(found) >= 3  # a hybrid of so small a network is close to it
    assert len(reached) >= len(found)


@pytest.mark.parametrize(
    ("content", "part"), [(b"hello, world", "LiteRT"), (b"\0\0\0\0TFL3 and no more", "LiteRT")]
)
def test_no_litert_file(tmp_path: Path, refuses: Refuses, content: bytes, part: str) -> None:
    (tmp_path / "a.tflite").write_bytes(content)
    with refuses(part, "a.tflite"):
        open_file(tmp_path / "a.tflite")


def test_a_file_cut_short(tmp_path: Path, refuses: Refuses) -> None:
    whole = (ASSETS / "int8.tflite").read_bytes()
    (tmp_path / "cut.tflite").write_bytes(whole[: len(whole) // 2])
    with refuses("expected", "cut.tflite"):
        open_file(tmp_path / "cut.tflite")


SIZES = (96, 224)


@pytest.fixture(scope="module", params=SIZES)
def photographs(request: pytest.FixtureRequest, tmp_path_factory: Any) -> tuple[int, Path]:
    """Thirty pictures of several sizes, in one folder, without labels: soft fields of colour."""
    folder, draw = tmp_path_factory.mktemp("photos"), np.random.default_rng(request.param)
    for i in range(30):
        coarse = Image.fromarray(draw.integers(0, 256, (4, 4, 3)).astype(np.uint8))
        coarse.resize((request.param,) * 2, Image.Resampling.BILINEAR).save(
            folder / f"{i:02}.jpg", quality=95
        )
    return request.param, folder


def read(photographs: tuple[int, Path], **overrides: Any) -> tuple[Any, Any]:
    size, folder = photographs
    files = (ASSETS / f"float-{size}.tflite", ASSETS / f"int8-{size}.tflite")
    return pair_of_files(*files, data=str(folder), overrides=Overrides(**overrides))


def alone(path: Path, image: torch.Tensor) -> np.ndarray:
    """What LiteRT itself says of one image (C, H, W): probabilities, or integers of these."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    (into,), (out,) = interpreter.get_input_details(), interpreter.get_output_details()
    x = image.permute(1, 2, 0).numpy()[None].astype(np.float32) / np.float32(255)
    scale, zero = into["quantization"]
    if scale:
        x = np.clip(np.rint(x / np.float32(scale)) + zero, -128, 127)
    interpreter.set_tensor(into["index"], x.astype(into["dtype"]))
    interpreter.invoke()
    return interpreter.get_tensor(out["index"])[0]


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"range": (0.0, 1.0)},
        {"layout": "NHWC"},
        {"output": "probs"},
        {"bgr": False},
        {"mean": (0.0,), "std": (1.0,)},
        {"range": (0.0, 1.0), "layout": "NHWC", "bgr": True},
    ],
    ids=str,
)
def test_a_few_photographs_without_labels(
    photographs: tuple[int, Path], overrides: dict[str, Any]
) -> None:
    """What is said of the input, rightly or by default, is never a fault; what is found is real."""
    size = photographs[0]
    pair, splits = read(photographs, **overrides)
    seen = check(pair, splits.seeds)
    assert seen.faults == ()
    assert seen.natural_disagreement < 0.2
    if size == max(SIZES) and overrides:
        return  # searches of large pictures are slow, and read them as those of small ones
    found = list(fuzz(pair, splits.seeds, strategy=Blackbox(queries=40), limit=14))
    assert found
    if overrides.get("bgr"):
        return
    for finding in found:
        original, deployed = (
            alone(ASSETS / f"{kind}-{size}.tflite", finding.image) for kind in ("float", "int8")
        )
        assert int(original.argmax()) == finding.original.label
        assert int(deployed.argmax()) == finding.deployed.label
        assert finding.original.label != finding.deployed.label


def test_a_wrong_range_is_the_users(photographs: tuple[int, Path]) -> None:
    pair, splits = read(photographs, range=(0.0, 255.0))
    seen = check(pair, splits.seeds)
    said = " ".join([*seen.warnings, *seen.faults])
    assert "said by you: range" in said or "the same answer to all" in said
    assert "pass --range 0,1" not in "".join(seen.faults) or "two models" in seen.faults[0]


def test_a_file_is_what_it_was_after_a_wrong_layout(photographs: tuple[int, Path]) -> None:
    size = photographs[0]
    images = torch.randint(0, 256, (3, 3, size, size), dtype=torch.uint8)
    for kind in ("float", "int8"):
        runtime = open_file(ASSETS / f"{kind}-{size}.tflite")
        before = runtime.run(images)
        with pytest.raises(CompdError, match="litert-cpu raised"):
            runtime.read_as(Overrides(layout="NCHW")).run(images)
        assert torch.equal(runtime.run(images), before)
        assert torch.equal(runtime.run(images[:1]), before[:1])


def reshaped(kind: str, out: Path, height: int, width: int) -> Path:
    """A file whose network takes another size; it averages over what comes."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    flatbuffers = pytest.importorskip("flatbuffers")
    data = (ASSETS / f"{kind}.tflite").read_bytes()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data))
    graph = model.subgraphs[0]
    graph.tensors[graph.inputs[0]].shape = [1, height, width, 3]
    graph.tensors[graph.inputs[0]].shapeSignature = [-1, height, width, 3]
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    out.write_bytes(bytes(builder.Output()))
    return out


def test_images_that_are_not_square(tmp_path: Path) -> None:
    files = [reshaped(kind, tmp_path / f"{kind}.tflite", 8, 16) for kind in ("float", "int8")]
    images = colours(40)[0].repeat(1, 1, 1, 2)
    for i, image in enumerate(images):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(tmp_path / f"{i:02}.png")
    pair, splits = pair_of_files(*files, data=str(tmp_path), overrides=PIXELS)
    assert splits.dataset.size == (8, 16)
    square = open_file(ASSETS / "float.tflite", PIXELS).run(colours(40)[0]).argmax(1)
    assert float((pair.reference.run(images).argmax(1) == square).double().mean()) > 0.8
    found = list(fuzz(pair, splits, strategy=Blackbox(queries=300), limit=3))
    assert found
    assert all(finding.image.shape == (3, 8, 16) for finding in found)
