"""Files with several outputs, of which one has the scores."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from onnx import helper
from tiny import tiny_splits
from tiny_files import onnx_files, photos

from compd.pair.from_files import pair_of_files
from compd.pair.preflight import check
from compd.runtimes import Overrides, open_file
from compd.runtimes.converted import converted_file

Refuses = Callable[..., Any]
IMAGES = tiny_splits().seeds.images[:20]
FLOAT = onnx.TensorProto.FLOAT


def with_features(path: Path, out: Path) -> Path:
    """The file with a second output in front, of an operator that has no gradient here."""
    model = onnx.load(path)
    model.graph.node.append(helper.make_node("NonZero", ["image"], ["where"]))
    model.graph.node.append(helper.make_node("Cast", ["where"], ["features"], to=FLOAT))
    model.graph.output.insert(0, helper.make_tensor_value_info("features", FLOAT, None))
    onnx.save(model, out)
    return out


@pytest.fixture
def several(tmp_path: Path) -> tuple[Path, Path]:
    original, deployed = onnx_files()
    return (
        with_features(original, tmp_path / "two.onnx"),
        with_features(deployed, tmp_path / "two.int8.onnx"),
    )


def test_an_output_has_to_be_named(several: tuple[Path, Path], refuses: Refuses) -> None:
    with refuses("got 2: features, logits", "--output-name NAME"):
        open_file(several[0])
    with refuses("the name of an output", "(features, logits)", "--output-name scores"):
        open_file(several[0], Overrides(output_name="scores"))
    with refuses("(logits)", "--output-name scores"):
        open_file(onnx_files()[0], Overrides(output_name="scores"))


def test_the_output_that_is_named(several: tuple[Path, Path]) -> None:
    named = Overrides(output_name="logits")
    for file, alone in zip(several, onnx_files(), strict=True):
        runtime, one = open_file(file, named), open_file(alone)
        assert torch.equal(runtime.run(IMAGES), one.run(IMAGES))
        plain = runtime.plain()
        assert plain is not None
        assert plain.run(IMAGES).shape == (20, 3)
        assert runtime.facts["output_name"] == "logits"
        assert "output_name" not in one.facts
        assert runtime.read_as(Overrides(bgr=True)).facts["output_name"] == "logits"
        module = converted_file(runtime)  # without what the other output needs
        torch.testing.assert_close(
            module(IMAGES.float() / 255), converted_file(one)(IMAGES.float() / 255)
        )


def test_a_pair_of_one_and_several(several: tuple[Path, Path]) -> None:
    pair, splits = pair_of_files(
        onnx_files()[0],
        several[1],
        data=str(photos()),
        deployed_overrides=Overrides(output_name="logits"),
    )
    assert pair.has_shadow
    assert pair.spec.compress.shadow == "converted"
    assert check(pair, splits.seeds).faults == ()


def test_openvino(tmp_path: Path, refuses: Refuses) -> None:
    openvino = pytest.importorskip("openvino")
    model = onnx.load(onnx_files()[0])
    model.graph.node.append(helper.make_node("Softmax", ["logits"], ["probs"]))
    model.graph.output.insert(0, helper.make_tensor_value_info("probs", FLOAT, None))
    onnx.save(model, tmp_path / "two.onnx")
    path = tmp_path / "two.xml"
    openvino.save_model(openvino.convert_model(str(tmp_path / "two.onnx")), path)
    with refuses("got 2: probs, logits"):
        open_file(path)
    logits = open_file(path, Overrides(output_name="logits"))
    probs = open_file(path, Overrides(output_name="probs"))
    assert (logits.format.output, probs.format.output) == ("logits", "probs")
    assert torch.equal(logits.read_as(probs.overrides).run(IMAGES), probs.run(IMAGES))
    torch.testing.assert_close(
        logits.run(IMAGES).log_softmax(1), probs.run(IMAGES).log_softmax(1), atol=1e-4, rtol=1e-3
    )


def test_litert(tmp_path: Path, refuses: Refuses) -> None:
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    import flatbuffers

    whole = (Path(__file__).parents[1] / "assets" / "float.tflite").read_bytes()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(whole, 0))
    graph = model.subgraphs[0]
    scores, (probs,) = graph.operators[-1].inputs[0], graph.outputs
    graph.tensors[scores].name, graph.tensors[probs].name = b"scores", b"probs"
    graph.outputs = [scores, probs]
    model.signatureDefs = []
    builder = flatbuffers.Builder(1 << 14)
    builder.Finish(model.Pack(builder), b"TFL3")
    path = tmp_path / "two.tflite"
    path.write_bytes(bytes(builder.Output()))
    with refuses("got 2: scores, probs", "--output-name NAME"):
        open_file(path)
    one = open_file(path, Overrides(output_name="scores"))
    other = open_file(path, Overrides(output_name="probs"))
    assert (one.format.output, other.format.output) == ("logits", "probs")
    images = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8)
    torch.testing.assert_close(
        one.run(images).log_softmax(1), other.run(images).log_softmax(1), atol=1e-4, rtol=1e-3
    )
