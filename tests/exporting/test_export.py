"""Artifacts answer as the models that they were made from, and say what they expect."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from tiny import CPU, tiny_pair, tiny_spec, tiny_splits
from torch import Tensor, nn

from compd.cli.wording import as_options
from compd.compress import Compression, Prune, Ptq, Qat, make_shadow
from compd.compress.explicit import explicit
from compd.errors import CompdError
from compd.exporting import TARGETS, Exported, export
from compd.models import Classifier
from compd.models.densenet import DenseNet
from compd.models.inputs import to_input
from compd.models.resnet import ResNet
from compd.pair import Pair
from compd.runtimes import FloatRuntime

onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
ort = pytest.importorskip("onnxruntime", reason="needs the extra onnx")

INT8 = [Qat(), Ptq(), Ptq(activation_bits=8, weight_bits=7), Ptq(activation_bits=8)]


def images() -> Tensor:
    return tiny_splits().test().images


def write(pair: Pair, to: str, folder: Path, **settings: Any) -> Exported:
    return export(pair, to, folder / f"m{TARGETS[to].suffix}", splits=tiny_splits(), **settings)


Made = Callable[..., Exported]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """``made(Ptq(), "onnx")``: an export of a tiny pair, written once for all tests."""
    done: dict[str, Exported] = {}

    def make(config: Compression, to: str, **settings: Any) -> Exported:
        key = f"{config} {to} {settings}"
        if key not in done:
            pair = tiny_pair(config)
            before = dict(pair.hashes)
            done[key] = write(pair, to, tmp_path_factory.mktemp("made"), **settings)
            again = Pair(pair.spec, pair.original, pair.shadow, device=CPU)
            assert again.hashes == before  # a pair is not changed
        return done[key]

    return make


def in_onnx_runtime(path: Path, batch: Tensor) -> tuple[Tensor, Counter[str]]:
    """Logits, and the operators that were run."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    options.optimized_model_filepath = str(path.with_suffix(".optimised"))
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"image": to_input(batch).contiguous().numpy()})
    run = onnx.load(options.optimized_model_filepath)
    return torch.from_numpy(logits), Counter(node.op_type for node in run.graph.node)


def in_openvino(path: Path, batch: Tensor) -> Tensor:
    ov = pytest.importorskip("openvino", reason="needs the extra openvino")
    # without a hint, some processors would be asked for bfloat16
    model = ov.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return torch.from_numpy(model({"image": to_input(batch).contiguous().numpy()})["logits"].copy())


def in_litert(path: Path, batch: Tensor) -> Tensor:
    litert = pytest.importorskip("ai_edge_litert.interpreter", reason="needs the extra litert")
    run = litert.Interpreter(model_path=str(path), num_threads=1).get_signature_runner()
    rows = [run(image=to_input(i[None]).contiguous().numpy())["logits"].copy() for i in batch]
    return torch.from_numpy(np.concatenate(rows))


def step(pair: Pair) -> float:
    """The distance between two neighbouring logits of the deployed model."""
    (output,) = [node for node in pair.shadow.graph.nodes if node.op == "output"]  # type: ignore[union-attr]
    last: Any = pair.shadow.get_submodule(str(output.all_input_nodes[0].target))
    return float(last.scale)


def pair_of(net: nn.Module, config: Compression) -> Pair:
    """A pair of a network with random weights and sensible statistics."""
    model = Classifier(net, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)).train()
    with torch.no_grad():
        for _ in range(20):
            model(to_input(tiny_splits().train.images[:64]))
    shadow = make_shadow(config, model.eval(), tiny_splits(), device=CPU)
    return Pair(tiny_spec(config), model, shadow, device=CPU)


def seeded(make: Any) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make()  # type: ignore[no-any-return]


# --- int8 with the pair's own scales ---


@pytest.mark.parametrize("config", INT8, ids=str)
def test_qdq_answers_as_the_deployed_model(config: Compression, made: Made) -> None:
    pair = tiny_pair(config)
    done = made(config, "onnx-qdq")
    assert done.of == "deployed"
    logits, run = in_onnx_runtime(done.files[0], images())
    deployed = pair.deployed.run(images())
    assert (logits.argmax(1) == deployed.argmax(1)).double().mean() >= 0.98
    assert float((logits - deployed).abs().max()) <= 2.5 * step(pair)
    assert (run["QLinearConv"], run["QLinearAdd"], run["QGemm"]) == (2, 1, 1)
    border = {"Pad", "Add"} if config.activation_bits == 8 else set()  # type: ignore[union-attr]
    assert not (run.keys() - border) & {"Conv", "Gemm", "Add"}


NETS = {
    "residual": lambda: ResNet([1, 1], 8, channels=3, classes=3, projection=True),
    "padded": lambda: ResNet([1, 1], 8, channels=3, classes=3, projection=False),
    "concatenated": lambda: DenseNet([1, 1], 8, channels=3, classes=3),
    "pooled": lambda: nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(8, 8, 3, groups=8),
        nn.BatchNorm2d(8),
        nn.ReLU6(),
        nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(8, 16, bias=False),
        nn.ReLU(),
        nn.Linear(16, 3),
    ),
}


@pytest.mark.parametrize("name", NETS)
def test_qdq_of_other_architectures_is_a_few_steps_away(name: str, tmp_path: Path) -> None:
    pair = pair_of(seeded(NETS[name]), Ptq())
    logits, run = in_onnx_runtime(write(pair, "onnx-qdq", tmp_path).files[0], images())
    far = (logits - pair.deployed.run(images())).abs() / step(pair)  # of 255 steps
    assert float(far.mean()) <= 3  # measured: 0.3 to 2.1; two engines of PyTorch: 0.3 to 0.9
    assert float(far.max()) <= 20
    assert run["QLinearConv"] + run["QGemm"] >= 3
    assert not run.keys() & {"Conv", "Gemm"}


def test_qdq_saturates_where_the_deployed_model_does(made: Made) -> None:
    pair = tiny_pair(Ptq())
    wild = torch.zeros(4, 3, 16, 16, dtype=torch.uint8)  # far outside the calibrated ranges
    for i in range(3):
        wild[i, i, 1::2] = 255
    wild[3, :, 1::2] = 255
    logits, _ = in_onnx_runtime(made(Ptq(), "onnx-qdq").files[0], wild)
    assert float((logits - pair.deployed.run(wild)).abs().max()) <= 2.5 * step(pair)


def test_qdq_of_simulated_bits_answers_as_the_simulation(tmp_path: Path) -> None:
    pair = tiny_pair(Ptq(weight_bits=4))
    done = write(pair, "onnx-qdq", tmp_path)
    logits, _ = in_onnx_runtime(done.files[0], images())
    assert float((logits - pair.deployed.run(images())).abs().max()) <= 3.5 * step(pair)
    weights = weights_of(done.files[0])
    assert all(w.min() >= -8 and w.max() <= 7 for w in weights.values())


def weights_of(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Initialisers with more than one axis."""
    graph = onnx.load(path).graph
    values = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    return {name: value for name, value in values.items() if value.ndim > 1 and value.size > 3}


@pytest.mark.parametrize("config", INT8, ids=str)
def test_weights_are_the_integers_of_the_deployed_model(config: Compression, made: Made) -> None:
    pair = tiny_pair(config)
    path = made(config, "onnx-qdq").files[0]
    weights = weights_of(path)
    assert {w.dtype for w in weights.values()} == {np.dtype(np.int8)}
    runtime: Any = pair.deployed
    layers = dict(runtime._module.named_modules())
    for name in ("net.conv1", "net.conv2", "net.linear"):
        wanted = layers[name].weight().int_repr().numpy()
        assert any(w.shape == wanted.shape and (w == wanted).all() for w in weights.values())
    graph = onnx.load(path).graph
    biases = [t for t in graph.initializer if t.name.endswith("_bias")]
    assert [t.data_type for t in biases] == [onnx.TensorProto.INT32] * 3


def test_a_bias_that_int32_does_not_hold_stays_a_float(tmp_path: Path) -> None:
    pair = tiny_pair(Ptq())
    shadow: Any = pair.shadow
    with torch.no_grad():
        shadow.net.conv1.weight[0] = 0  # a dead channel has the least scale there is
        shadow.net.conv1.weight_fake_quant.scale[0] = torch.finfo(torch.float32).eps
        shadow.net.conv1.bias[0] = 10
    done = write(pair, "onnx-qdq", tmp_path)
    assert done.notes == ("biases kept as floats, because int32 does not hold them: 1",)
    logits, _ = in_onnx_runtime(done.files[0], images())
    assert bool(torch.isfinite(logits).all())


def test_the_explicit_graph_computes_the_shadow() -> None:
    pair = tiny_pair(Qat())
    x = to_input(images())
    for signed in (False, True):
        graph = explicit(pair.shadow, signed=signed)
        assert float((graph(x) - pair.shadow(x)).abs().max()) <= 1.5 * step(pair)
    with pytest.raises(CompdError, match="fake-quantised"):
        explicit(pair.original)


def test_openvino_runs_the_int8_model(made: Made) -> None:
    pair = tiny_pair(Qat())
    done = made(Qat(), "openvino")
    assert [path.name for path in done.files] == ["m.xml", "m.bin"]
    logits = in_openvino(done.files[0], images())
    deployed = pair.deployed.run(images())
    assert (logits.argmax(1) == deployed.argmax(1)).double().mean() >= 0.97
    assert float((logits - deployed).abs().max()) <= 4 * step(pair)
    assert done.sizes[str(done.files[1])] < 2000  # 816 weights as floats alone are 3264


# --- float models ---


@pytest.mark.parametrize("to", ["onnx", "openvino"])
def test_float_targets_answer_as_the_original(to: str, made: Made) -> None:
    pair = tiny_pair(Ptq())
    done = made(Ptq(), to, of="original")
    assert done.of == "original"
    path = done.files[0]
    logits = in_openvino(path, images()) if to == "openvino" else in_onnx_runtime(path, images())[0]
    torch.testing.assert_close(logits, pair.reference.run(images()), rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_a_pruned_model_keeps_its_zeros(tmp_path: Path) -> None:
    pair = tiny_pair(Prune(epochs=1))
    net = pair_of(
        seeded(
            lambda: nn.Sequential(
                nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 14 * 14, 3)
            )
        ),
        Prune(epochs=1),
    )
    shadow: Any = net.shadow
    wanted = int((shadow.net[0].weight == 0).sum())
    assert wanted == 162
    done = write(net, "onnx", tmp_path)
    assert done.of == "deployed"
    zeros = {w.shape: int((w == 0).sum()) for w in weights_of(done.files[0]).values()}
    assert zeros[8, 3, 3, 3] == wanted
    deployed = write(pair, "onnx", tmp_path)
    logits, _ = in_onnx_runtime(deployed.files[0], images())
    torch.testing.assert_close(logits, pair.deployed.run(images()), rtol=1e-3, atol=1e-3)
    original = write(pair, "onnx", tmp_path, of="original")
    assert original.sha256 != deployed.sha256


def test_any_number_of_images_will_do(made: Made) -> None:
    for to in ("onnx-ptq", "onnx-qdq"):
        path = made(Ptq(), to).files[0]
        whole, _ = in_onnx_runtime(path, images()[:7])
        for count in (1, 3):
            part, _ = in_onnx_runtime(path, images()[:count])
            torch.testing.assert_close(part, whole[:count], rtol=1e-4, atol=1e-4)


# --- the runtimes' own quantisers ---


@pytest.mark.parametrize(
    "settings",
    [{}, {"activations": "int8"}, {"reduce_range": True, "per_channel": False}],
    ids=str,
)
def test_onnx_runtime_quantises_by_itself(settings: dict[str, Any], made: Made) -> None:
    pair = tiny_pair(Ptq())
    done = made(Ptq(), "onnx-ptq", **settings)
    assert (done.of, done.rows) == ("original", "train[480:540]")
    logits, run = in_onnx_runtime(done.files[0], images())
    same = logits.argmax(1) == pair.reference.run(images()).argmax(1)
    assert same.double().mean() >= 0.9
    assert run["QLinearConv"] >= 1
    integers = [w for w in weights_of(done.files[0]).values() if w.dtype == np.int8]
    assert len(integers) == 3
    if "reduce_range" in settings:
        assert all(np.abs(w).max() <= 64 for w in integers)


@pytest.mark.parametrize("preset", [pytest.param("performance", marks=pytest.mark.slow), "mixed"])
def test_nncf_quantises_by_itself(preset: str, made: Made) -> None:
    pytest.importorskip("nncf", reason="needs the extra openvino")
    pair = tiny_pair(Ptq())
    done = made(Ptq(), "openvino-ptq", preset=preset)
    logits = in_openvino(done.files[0], images())
    same = logits.argmax(1) == pair.reference.run(images()).argmax(1)
    assert same.double().mean() >= 0.9
    assert done.sizes[str(done.files[1])] < 2000


@pytest.mark.parametrize("config", [Qat(), Ptq(activation_bits=8)], ids=str)
@pytest.mark.parametrize("to", ["litert", "litert-float16", "litert-int8", "litert-ptq"])
def test_litert_takes_and_gives_floats(to: str, config: Compression, tmp_path: Path) -> None:
    pytest.importorskip("litert_torch", reason="needs the extra litert-export")
    pair = tiny_pair(config)
    done = write(pair, to, tmp_path)
    logits = in_litert(done.files[0], images())
    own = pair.deployed if done.of == "deployed" else pair.reference
    assert (logits.argmax(1) == own.run(images()).argmax(1)).double().mean() >= 0.95
    if to == "litert-int8":
        assert float((logits - own.run(images())).abs().max()) <= 3.5 * step(pair)
    assert "(1, 3, 16, 16)" in done.input


@pytest.mark.parametrize("to", ["coreml-float16", "coreml-linear8", "coreml-palette8"])
def test_core_ml_weights_can_be_judged_without_macos(to: str, tmp_path: Path) -> None:
    pytest.importorskip("coremltools", reason="needs the extra coreml")
    from compd.exporting.coreml_files import with_coreml_weights

    pair = tiny_pair(Qat())
    done = write(pair, to, tmp_path)
    assert [path.suffix for path in done.files] == [".zip", ".safetensors"]
    judge = with_coreml_weights(pair.original, done.files[1])
    with torch.no_grad():
        logits, wanted = judge(to_input(images())), pair.original(to_input(images()))
    assert not torch.equal(logits, wanted)
    assert (logits.argmax(1) == wanted.argmax(1)).double().mean() >= 0.97
    weight = judge.get_parameter("net.conv2.weight")
    values = [len(torch.unique(channel)) for channel in weight]
    assert len(torch.unique(weight)) <= 256 if to == "coreml-palette8" else max(values) <= 255


def test_pools_with_a_stride_of_their_own_and_without():
    from compd.exporting.coreml_files import _spell_out_strides_

    class Pools(nn.Module):
        def forward(self, x):
            y = F.max_pool2d(F.max_pool2d(x, 2), (3, 2), padding=1)
            return F.max_pool1d(F.max_pool2d(y, 3, 1, 1).flatten(2), 2)

    image = torch.randn(1, 2, 24, 24)
    program = torch.export.export(Pools(), (image,)).run_decompositions({})
    before = program.module()(image)
    _spell_out_strides_(program.graph)
    pools = [n for n in program.graph.nodes if "max_pool" in str(n.target)]
    assert [n.args[2] for n in pools] == [[2, 2], [3, 2], [1, 1], [2]]  # what they do anyway
    program.graph_module.recompile()
    torch.testing.assert_close(program.module()(image), before)


# --- what the files say ---


def test_an_onnx_file_says_what_it_expects(made: Made) -> None:
    pair = tiny_pair(Ptq())
    for to, of in (("onnx", "original"), ("onnx-qdq", "deployed"), ("onnx-ptq", "original")):
        model = onnx.load(made(Ptq(), to).files[0])
        told = {prop.key: prop.value for prop in model.metadata_props}
        assert told["compd.model"] == of
        assert told["compd.sha256"] == pair.hashes[of]
        assert (told["compd.layout"], told["compd.range"]) == ("NCHW", "0,1")
        assert (told["compd.mean"], told["compd.std"]) == ("none", "none")
        assert told["compd.output"] == "logits"
        assert json.loads(told["compd.classes"]) == ["red", "green", "blue"]
        assert str(Path(__file__).parent).encode() not in model.SerializeToString()


def test_openvino_says_it_too(made: Made) -> None:
    ov = pytest.importorskip("openvino", reason="needs the extra openvino")
    model = ov.Core().read_model(made(Qat(), "openvino").files[0])
    assert model.get_rt_info(["compd", "layout"]).astype(str) == "NCHW"


@pytest.mark.slow
@pytest.mark.parametrize("to", ["onnx", "onnx-qdq", "onnx-ptq", "openvino", "safetensors"])
def test_the_same_model_gives_the_same_bytes(to: str, made: Made, tmp_path: Path) -> None:
    config = Qat() if to == "openvino" else Ptq()
    first, second = made(config, to), write(tiny_pair(config), to, tmp_path)
    assert [*first.sha256.values()] == [*second.sha256.values()]


def test_safetensors_hold_integers_and_the_graph(made: Made) -> None:
    pair = tiny_pair(Qat())
    done = made(Qat(), "safetensors")
    with safe_open(done.files[0], "pt") as file:  # type: ignore[no-untyped-call]
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        about = json.loads(file.metadata()["compd"])
    assert tensors["net.conv1.weight"].dtype == torch.int8
    assert tensors["net.conv1.weight_scale"].shape == (8,)
    assert tensors["activation_post_process_0.zero_point"].dtype == torch.int32
    assert "activation_post_process_0" in about["graph"]
    shadow: Any = pair.shadow
    scale = tensors["net.conv1.weight_scale"].view(-1, 1, 1, 1)
    floats = tensors["net.conv1.weight"] * scale
    assert float((floats - shadow.net.conv1.weight).abs().max()) <= float(scale.max()) / 2 + 1e-6


# --- mistakes ---


def told(pair: Pair, to: str, out: Path, **settings: Any) -> str:
    with pytest.raises(CompdError) as caught:
        export(pair, to, out, **{"splits": tiny_splits(), **settings})
    assert "\n" not in str(caught.value)
    return as_options(caught.value.message)


def test_mistakes_are_told_in_one_line(tmp_path: Path) -> None:
    pair, pruned = tiny_pair(Qat()), tiny_pair(Prune(epochs=1))
    file = tmp_path / "m.onnx"
    assert "did you mean 'onnx-qdq'" in told(pair, "onnx-qdp", file)
    assert "goes to onnx, onnx-ptq, openvino" in told(pruned, "onnx-qdq", file)
    assert "target='onnx', got of='deployed', which is int8" in told(
        pair, "onnx", file, of="deployed"
    )
    assert "which is float" in told(pair, "onnx-qdq", file, of="original")
    assert "of='shadow'" in told(pair, "onnx", file, of="shadow")
    assert "expected a .onnx file" in told(pair, "onnx", tmp_path / "m.tflite")
    assert "splits=None" in told(pair, "onnx-ptq", file, splits=None)
    assert "reduce_range with target onnx-ptq" in told(pair, "onnx", file, reduce_range=True)
    assert "activations='int4'" in told(pair, "onnx-ptq", file, activations="int4")
    assert "preset='fast'" in told(pair, "openvino-ptq", tmp_path / "m.xml", preset="fast")
    assert list(tmp_path.iterdir()) == []


def test_a_pair_without_shadow_has_no_int8_model_to_write(tmp_path: Path) -> None:
    pair = tiny_pair(Qat())
    judge = FloatRuntime(pair.original, CPU)
    bare = Pair(pair.spec, pair.original, None, device=CPU, deployed=judge)
    assert "an artifact already" in told(bare, "onnx-qdq", tmp_path / "m.onnx")
    assert "--of original" in told(bare, "onnx", tmp_path / "m.onnx", of="deployed")
    assert write(bare, "safetensors", tmp_path).of == "original"


def test_nothing_else_is_overwritten(tmp_path: Path) -> None:
    pair = tiny_pair(Qat())
    for name, to in (("a.onnx", "onnx"), ("a.xml", "openvino"), ("a.safetensors", "safetensors")):
        (tmp_path / name).write_bytes(b"precious, and nothing of the kind")
        assert "holds something else" in told(pair, to, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(b"precious")
    (tmp_path / "b.bin").write_bytes(b"precious")
    assert "b.bin" in told(pair, "openvino", tmp_path / "b.xml")
    (tmp_path / "c.onnx").mkdir()
    assert "got a folder" in told(pair, "onnx", tmp_path / "c.onnx")
    (tmp_path / "file").touch()
    assert "a file is in the way" in told(pair, "safetensors", tmp_path / "file/m.safetensors")
    write(pair, "safetensors", tmp_path)
    write(pair, "safetensors", tmp_path)  # of the same kind
    left = [path for path in tmp_path.iterdir() if path.name.endswith(".tmp")]
    assert left == []


def test_a_model_with_a_fixed_batch_is_refused_in_one_line(tmp_path: Path) -> None:
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 16)

        def forward(self, x: Tensor) -> Tensor:
            if x.shape[0] > 5:
                return self.conv(x).flatten(1)  # type: ignore[no-any-return]
            return self.conv(x).flatten(1) + 1  # type: ignore[no-any-return]

    pair = Pair(tiny_spec(Prune()), Fixed(), Fixed(), device=CPU)
    assert "torch.onnx.export" in told(pair, "onnx", tmp_path / "m.onnx")
