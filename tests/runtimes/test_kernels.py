"""One TFLite file by several kernels, and ONNX Runtime's execution providers by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_files import onnx_files, photos

from compd.pair import Pair
from compd.pair.from_files import pair_of_files
from compd.pair.runtimes import runtimes_of
from compd.runtimes import Overrides, open_file
from compd.runtimes.converted import converted_file

pytest.importorskip("ai_edge_litert", reason="needs the extra litert")
Refuses = Callable[..., Any]
ASSETS = Path(__file__).parents[1] / "assets"
IMAGES = torch.randint(
    0, 256, (40, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)
KERNELS = ("xnnpack", "builtin", "reference", "micro")


def of(name: str, kind: str = "int8") -> Any:
    if name == "micro":
        pytest.importorskip("tflite_micro", reason="needs the extra tflite-micro")
    return open_file(ASSETS / f"{kind}.tflite", Overrides(engine=name))


@pytest.mark.parametrize("kind", ["float", "int8"])
def test_microcontrollers_answer_as_reference_kernels_do(kind: str) -> None:
    micro, reference, usual = (of(name, kind) for name in ("micro", "reference", "xnnpack"))
    assert (micro.engine, reference.engine, usual.engine) == (
        "tflite-micro",
        "litert-reference",
        "litert-cpu",
    )
    said = reference.run(IMAGES)
    step = 0.0 if kind == "float" else 3 / 256  # of probabilities: its softmax is another
    apart = (micro.run(IMAGES).softmax(1) - said.softmax(1)).abs()
    assert float(apart.max()) <= step + 1e-5
    assert micro.format.classes == usual.format.classes
    assert micro.content_hash == usual.content_hash
    assert micro.format.output == usual.format.output == "probs"
    assert micro.plain() is None
    assert reference.plain() is None
    assert usual.plain() is not None
    assert sum(sum(kinds.values()) for kinds in micro.census.values()) == 6


@pytest.mark.parametrize("name", KERNELS)
def test_a_conversion_follows_its_kernels(name: str) -> None:
    runtime = of(name)
    made, said = converted_file(runtime)(IMAGES.float() / 255).detach(), runtime.run(IMAGES)
    apart = (made.softmax(1) - said.softmax(1)).abs()
    assert float(apart.max()) <= 6 / 256  # steps of a probability
    assert float((made.argmax(1) == said.argmax(1)).double().mean()) >= 0.95


def behind(content: bytes) -> bytes:
    """The same model with its largest weights behind the flatbuffer, as large files have them."""
    from tiny_tflite import edited

    def move(offset: int) -> tuple[bytes, bytes]:
        taken = b""

        def edit(model: Any) -> None:
            nonlocal taken
            buffer = max(model.buffers, key=lambda one: 0 if one.data is None else len(one.data))
            taken = bytes(buffer.data)
            buffer.data, buffer.offset, buffer.size = None, offset, len(taken)

        return edited(content, edit), taken

    head, taken = move(1 << 20)
    head, _ = move(len(head))
    return head + taken


def test_weights_behind_the_flatbuffer(tmp_path: Path, refuses: Refuses) -> None:
    from compd.exporting.litert_output import weights_within

    pytest.importorskip("tflite_micro", reason="needs the extra tflite-micro")
    whole = (ASSETS / "int8.tflite").read_bytes()
    path, again = tmp_path / "behind.tflite", tmp_path / "again.tflite"
    path.write_bytes(behind(whole))
    usual = of("reference")
    moved = open_file(path, Overrides(engine="reference"))
    assert torch.equal(moved.run(IMAGES), usual.run(IMAGES))
    made, wanted = (converted_file(one)(IMAGES.float() / 255) for one in (moved, usual))
    assert torch.equal(made, wanted)
    with refuses("expected weights within the flatbuffer", "behind.tflite", "litert-ptq"):
        open_file(path, Overrides(engine="micro"))
    again.write_bytes(weights_within(path.read_bytes()))
    said = open_file(again, Overrides(engine="micro")).run(IMAGES)
    assert torch.equal(said, of("micro").run(IMAGES))
    assert weights_within(whole) == whole


def test_what_microcontrollers_have_not(
    tmp_path: Path, refuses: Refuses, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tflite_micro", reason="needs the extra tflite-micro")
    with refuses("expected a file that TensorFlow Lite Micro can run", "float16.tflite"):
        open_file(ASSETS / "float16.tflite", Overrides(engine="micro"))
    assert "tensorflow/lite/micro" not in capfd.readouterr().err


def test_kernels_are_runtimes_of_a_pair(tmp_path: Path, refuses: Refuses) -> None:
    files = (ASSETS / "float.tflite", ASSETS / "int8.tflite")
    from PIL import Image

    for i, image in enumerate(IMAGES[:8]):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(tmp_path / f"{i}.png")
    pair, _ = pair_of_files(*files, data=str(tmp_path), overrides=Overrides(range=(-1.0, 1.0)))
    made = runtimes_of(pair, "deployed,builtin,reference")
    assert torch.equal(made["reference"].run(IMAGES), of("reference").run(IMAGES))
    assert not torch.equal(made["reference"].run(IMAGES), made["deployed"].run(IMAGES))
    with refuses("micro", "reference", "or a file", "gpu"):
        runtimes_of(pair, "gpu")


def test_an_engine_of_another_kind_of_file(refuses: Refuses) -> None:
    with refuses("xnnpack, builtin, reference, micro", "--engine cuda"):
        of("cuda")
    files = onnx_files()
    with refuses("expected an engine of .onnx files", "--engine reference"):
        open_file(files[0], Overrides(engine="reference"))


def test_execution_providers(refuses: Refuses) -> None:
    file = onnx_files()[0]
    usual = open_file(file)
    size = usual.format.size
    images = torch.randint(0, 256, (3, 3, *size), dtype=torch.uint8)
    for name in ("cpu", "CPUExecutionProvider"):
        runtime = open_file(file, Overrides(engine=name))
        assert runtime.engine == "onnxruntime-cpu"
        assert torch.equal(runtime.run(images), usual.run(images))
    with refuses("expected an execution provider that this ONNX Runtime has (", "cpu", "tensorrt"):
        open_file(file, Overrides(engine="tensorrt"))
    pair = pair_of_files(*onnx_files(), data=str(photos()))[0]
    assert isinstance(pair, Pair)
    assert runtimes_of(pair, "cpu")["cpu"].engine == "onnxruntime-cpu"
