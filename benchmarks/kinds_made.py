"""Pairs of a network and its compressed form, by the toolchains that people use. Without compd.

Each function of ``KINDS`` writes files, or makes modules, as a toolchain's own page tells it to.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kinds_nets as nets
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

RGB = (nets.SIZE, nets.SIZE, 3)
WIDE = (12, 24, 1)  # height, width, channels


@dataclass(frozen=True)
class Made:
    """Two models, files or modules, and what a user would have to say of them."""

    original: Path | nn.Module
    deployed: Path | nn.Module
    options: dict[str, Any] = field(default_factory=dict)  # of the command line
    final: str = "softmax"  # what makes probabilities of the answer; "none": it has them
    sizes: tuple[int, int, int] = RGB


@dataclass(frozen=True)
class Kind:
    """A row of the table."""

    network: str
    quantiser: str
    form: str
    make: Callable[[Path], Made]


# --- ONNX ---


def onnx_file(
    net: nn.Module, path: Path, sizes: tuple[int, int, int] = RGB, outputs: tuple[str, ...] = ("y",)
) -> Path:
    """By PyTorch's exporter."""
    height, width, channels = sizes
    torch.onnx.export(
        net,
        (torch.rand(2, channels, height, width),),
        str(path),
        input_names=["image"],
        output_names=list(outputs),
        dynamic_axes={name: {0: "n"} for name in ("image", *outputs)},
        opset_version=17,
        dynamo=False,
    )
    return path


class Reader:
    """What ONNX Runtime's quantiser calibrates with."""

    def __init__(self, sizes: tuple[int, int, int]) -> None:
        self.left: Iterator[Tensor] = iter(nets.batches(sizes=sizes))

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self.left, None)
        return None if batch is None else {"image": batch.numpy()}


def static(
    net: Callable[[], nn.Module],
    *,
    fitted: bool = False,
    sizes: tuple[int, int, int] = RGB,
    outputs: tuple[str, ...] = ("y",),
    options: dict[str, Any] | None = None,
    final: str = "softmax",
    **how: Any,
) -> Callable[[Path], Made]:
    """ONNX Runtime's static quantiser, after its own preparation.

    ``fitted`` says that ``net()`` is a trained network, and not one to train.
    """

    def make(folder: Path) -> Made:
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process

        made = net() if fitted else nets.trained(net)
        original = onnx_file(made, folder / "float.onnx", sizes, outputs)
        ready, deployed = folder / "prepared.onnx", folder / "int8.onnx"
        quant_pre_process(str(original), str(ready))
        settings = {k: getattr(QuantType, v) for k, v in how.items() if k.endswith("_type")}
        settings |= {k: v for k, v in how.items() if isinstance(v, (bool, dict))}
        settings["quant_format"] = getattr(QuantFormat, how.get("quant_format", "QDQ"))
        quantize_static(str(ready), str(deployed), Reader(sizes), **settings)
        return Made(original, deployed, options or {}, final, sizes)

    return make


def dynamic(net: Callable[[], nn.Module], **how: Any) -> Callable[[Path], Made]:
    """ONNX Runtime's dynamic quantiser."""

    def make(folder: Path) -> Made:
        from onnxruntime.quantization import QuantType, quantize_dynamic

        original = onnx_file(nets.trained(net), folder / "float.onnx")
        deployed = folder / "dynamic.onnx"
        quantize_dynamic(str(original), str(deployed), weight_type=QuantType.QUInt8, **how)
        return Made(original, deployed)

    return make


def four_bits(folder: Path) -> Made:
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    original = onnx_file(nets.trained(nets.mixer), folder / "float.onnx")
    import onnx

    made = MatMulNBitsQuantizer(onnx.load(original), bits=4, block_size=16, is_symmetric=True)
    made.process()
    deployed = folder / "int4.onnx"
    made.model.save_model_to_file(str(deployed), False)
    return Made(original, deployed)


def halved(folder: Path) -> Made:
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    original = onnx_file(nets.trained(nets.resnet), folder / "float.onnx")
    half = convert_float_to_float16(onnx.load(original), keep_io_types=True)
    onnx.save(half, folder / "half.onnx")
    return Made(original, folder / "half.onnx")


def weights_alone(folder: Path) -> Made:
    import nncf
    import onnx

    original = onnx_file(nets.trained(nets.perceptrons), folder / "float.onnx")
    small = nncf.compress_weights(onnx.load(original), mode=nncf.CompressWeightsMode.INT8_SYM)
    onnx.save(small, folder / "weights.onnx")
    return Made(original, folder / "weights.onnx")


def sigmoids() -> nn.Module:
    def loss(scores: Tensor, labels: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(scores, nets.one_hot(labels))

    torch.manual_seed(0)
    return nets.Then(nets.fit(nets.lenet(), epochs=10, loss=loss), nn.Sigmoid()).eval()


def binary() -> nn.Module:
    def loss(scores: Tensor, labels: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(scores, labels)

    torch.manual_seed(0)
    net = nets.fit(nets.lenet(classes=1), epochs=10, labels=nets.high, loss=loss)
    return nets.Then(net, nn.Sigmoid()).eval()


def two_heads() -> nn.Module:
    def loss(answer: tuple[Tensor, Tensor], labels: Tensor) -> Tensor:
        return F.cross_entropy(answer[1], labels)

    torch.manual_seed(0)
    return nets.fit(nets.TwoHeads(), epochs=10, loss=loss)


def wide_and_grey() -> nn.Module:
    height, width, channels = WIDE
    torch.manual_seed(0)
    net = nets.lenet(channels, height, width)
    return nets.fit(net, height=height, width=width, channels=channels)


def softmaxed() -> nn.Module:
    return nets.Then(nets.trained(nets.lenet), nn.Softmax(1)).eval()


# --- OpenVINO ---


def openvino(net: Callable[[], nn.Module], how: Callable[[Any], Any]) -> Callable[[Path], Made]:
    """NNCF, on OpenVINO's form of the network."""

    def make(folder: Path) -> Made:
        import openvino as ov

        original = onnx_file(nets.trained(net), folder / "float.onnx")
        deployed = folder / "int8.xml"
        ov.save_model(how(ov.convert_model(original)), deployed)
        return Made(original, deployed)

    return make


def nncf_static(**how: Any) -> Callable[[Any], Any]:
    def quantised(model: Any) -> Any:
        import nncf

        named = {k: getattr(nncf, kind)(v) for k, (kind, v) in how.items()}
        data = nncf.Dataset([batch[:1].numpy() for batch in nets.batches(128, 1)])
        return nncf.quantize(model, data, subset_size=128, **named)

    return quantised


def nncf_weights(model: Any) -> Any:
    import nncf

    return nncf.compress_weights(model)


# --- LiteRT ---


def litert(net: Callable[[], nn.Module], recipe: str) -> Callable[[Path], Made]:
    """LiteRT's converter of PyTorch models, and AI Edge's quantiser."""

    def make(folder: Path) -> Made:
        import litert_torch
        from ai_edge_quantizer import quantizer
        from ai_edge_quantizer import recipe as recipes

        example = (torch.rand(1, 3, nets.SIZE, nets.SIZE),)
        original, deployed = folder / "float.tflite", folder / f"{recipe}.tflite"
        litert_torch.convert(nets.trained(net), example).export(str(original))
        tool = quantizer.Quantizer(str(original))
        tool.load_quantization_recipe(getattr(recipes, recipe)())
        statistics = None
        if tool.need_calibration:
            name, into = signature(original)
            rows = [{into: one.numpy()} for one in nets.batches(100, 1)]
            statistics = tool.calibrate({name: rows})
        tool.quantize(statistics).export_model(str(deployed))
        exact = onnx_file(nets.trained(net), folder / "float.onnx")
        return Made(exact, deployed)

    return make


def signature(path: Path) -> tuple[str, str]:
    """The names of the one signature and of its one input."""
    from ai_edge_litert.interpreter import Interpreter

    ((name, ends),) = Interpreter(model_path=str(path)).get_signature_list().items()
    return name, ends["inputs"][0]


# --- PyTorch ---


def eager(net: Callable[[], nn.Module], types: set[type[nn.Module]]) -> Callable[[Path], Made]:
    """PyTorch's dynamic quantisation."""

    def make(_: Path) -> Made:
        original = nets.trained(net)
        return Made(original, torch.ao.quantization.quantize_dynamic(original, types))

    return make


def graph_mode(net: nn.Module, backend: str) -> nn.Module:
    """PyTorch's FX graph mode, static."""
    from torch.ao.quantization import get_default_qconfig_mapping
    from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

    data = nets.batches()
    ready = prepare_fx(copy.deepcopy(net), get_default_qconfig_mapping(backend), (data[0],))
    with torch.no_grad():
        for batch in data:
            ready(batch)
    return convert_fx(ready)


def fx(net: Callable[[], nn.Module], backend: str = "x86") -> Callable[[Path], Made]:
    def make(_: Path) -> Made:
        original = nets.trained(net)
        return Made(original, graph_mode(original, backend))

    return make


def scripted(folder: Path) -> Made:
    original = nets.trained(nets.mobilenet)
    file = folder / "int8.ts"
    small = graph_mode(original, "x86")
    torch.jit.save(torch.jit.trace(small, nets.batches()[0]), file)
    return Made(onnx_file(original, folder / "float.onnx"), file, {"trust": True, "size": "16"})


def exported(folder: Path) -> Made:
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    original, data = nets.trained(nets.resnet), nets.batches()
    program = torch.export.export(original, (data[0],)).module()
    quantizer = x86.X86InductorQuantizer()
    quantizer.set_global(x86.get_default_x86_inductor_quantization_config())
    ready = prepare_pt2e(program, quantizer)
    for batch in data:
        ready(batch)
    small = convert_pt2e(ready)
    torch.export.save(torch.export.export(small, (data[0],)), folder / "int8.pt2")
    float_file = onnx_file(original, folder / "float.onnx")
    return Made(float_file, folder / "int8.pt2", {"trust": True})


def torchao(make_net: Callable[[], nn.Module], config: Callable[[], Any]) -> Callable[[Path], Made]:
    """Torchao's ``quantize_``."""

    def make(_: Path) -> Made:
        from torchao.quantization import quantize_

        original = nets.trained(make_net)
        small = copy.deepcopy(original)
        quantize_(small, config())
        return Made(original, small)

    return make


def int8_weights() -> Any:
    from torchao.quantization import Int8WeightOnlyConfig

    return Int8WeightOnlyConfig()


def int8_both() -> Any:
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig

    return Int8DynamicActivationInt8WeightConfig()


def hugging_face() -> nn.Module:
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        image_size=nets.SIZE,
        patch_size=4,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        num_labels=10,
    )
    return ViTForImageClassification(config)


def of_hugging_face(_: Path) -> Made:
    def loss(answer: Any, labels: Tensor) -> Tensor:
        return F.cross_entropy(answer.logits, labels)

    torch.manual_seed(0)
    original = nets.fit(hugging_face(), epochs=8, loss=loss)
    return Made(original, torch.ao.quantization.quantize_dynamic(original, {nn.Linear}))


def pruned(_: Path) -> Made:
    from torch.nn.utils import prune

    original = nets.trained(nets.densenet)
    small = copy.deepcopy(original)
    layers = [m for m in small.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    prune.global_unstructured(
        [(m, "weight") for m in layers], pruning_method=prune.L1Unstructured, amount=0.5
    )
    for module in layers:
        prune.remove(module, "weight")
    return Made(original, small)


class Narrow(nn.Module):
    """A network that computes in bfloat16, as a server wraps it."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = copy.deepcopy(net).to(torch.bfloat16)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.to(torch.bfloat16)).float()


def narrow(_: Path) -> Made:
    original = nets.trained(nets.convnext)
    return Made(original, Narrow(original).eval())


def binary_labels(labels: np.ndarray) -> np.ndarray:
    return (labels >= 5).astype(labels.dtype)


U8S8 = {"activation_type": "QUInt8", "weight_type": "QInt8"}
S8S8 = {"activation_type": "QInt8", "weight_type": "QInt8"}
U8U8 = {"activation_type": "QUInt8", "weight_type": "QUInt8"}
U16S8 = {"activation_type": "QUInt16", "weight_type": "QInt8"}
ORT, QDQ = "ONNX Runtime static", "ONNX QDQ"
WEIGHTS = "weight_only_wi8_afp32"

KINDS = (
    Kind("LeNet", f"{ORT}, u8s8", QDQ, static(nets.lenet, **U8S8)),
    Kind("ResNet", f"{ORT}, u8s8 per channel", QDQ, static(nets.resnet, per_channel=True, **U8S8)),
    Kind(
        "ResNet",
        f"{ORT}, u8s8",
        "ONNX QOperator",
        static(nets.resnet, quant_format="QOperator", **U8S8),
    ),
    Kind("MobileNet", f"{ORT}, s8s8", QDQ, static(nets.mobilenet, per_channel=True, **S8S8)),
    Kind("DenseNet", f"{ORT}, u8u8", QDQ, static(nets.densenet, **U8U8)),
    Kind(
        "gated (SiLU, SE)",
        f"{ORT}, 7-bit weights",
        QDQ,
        static(nets.gated, per_channel=True, reduce_range=True, **U8S8),
    ),
    Kind("ResNet", f"{ORT}, 16-bit activations", QDQ, static(nets.resnet, **U16S8)),
    Kind("transformer", f"{ORT}, u8s8", QDQ, static(nets.transformer, **U8S8)),
    Kind("ConvNeXt", f"{ORT}, u8s8", QDQ, static(nets.convnext, **U8S8)),
    Kind("GRU", f"{ORT}, u8s8", QDQ, static(nets.gru, **U8S8)),
    Kind("ConvTranspose, PReLU", f"{ORT}, u8s8", QDQ, static(nets.upsampling, **U8S8)),
    Kind(
        "LeNet, softmax in the file",
        f"{ORT}, u8s8",
        QDQ,
        static(softmaxed, fitted=True, final="none", **U8S8),
    ),
    Kind(
        "LeNet, sigmoid of each class",
        f"{ORT}, u8s8",
        QDQ,
        static(sigmoids, fitted=True, final="none", options={"output": "sigmoid"}, **U8S8),
    ),
    Kind(
        "LeNet, one probability",
        f"{ORT}, u8s8",
        QDQ,
        static(binary, fitted=True, final="binary", options={"output": "binary"}, **U8S8),
    ),
    Kind(
        "two outputs",
        f"{ORT}, u8s8",
        QDQ,
        static(
            two_heads, fitted=True, outputs=("features", "y"), options={"output_name": "y"}, **U8S8
        ),
    ),
    Kind(
        "LeNet on 12×24, grey",
        f"{ORT}, u8s8",
        QDQ,
        static(wide_and_grey, fitted=True, sizes=WIDE, **U8S8),
    ),
    Kind("LeNet", "ONNX Runtime dynamic", "ONNX ConvInteger", dynamic(nets.lenet)),
    Kind("transformer", "ONNX Runtime dynamic", "ONNX MatMulInteger", dynamic(nets.transformer)),
    Kind("LSTM", "ONNX Runtime dynamic", "ONNX DynamicQuantizeLSTM", dynamic(nets.lstm)),
    Kind("MLP-Mixer", "ONNX Runtime, 4-bit weights", "ONNX MatMulNBits", four_bits),
    Kind("perceptrons", "NNCF, int8 weights", "ONNX", weights_alone),
    Kind("ResNet", "convert_float_to_float16", "ONNX float16", halved),
    Kind("MobileNet", "NNCF", "OpenVINO", openvino(nets.mobilenet, nncf_static())),
    Kind(
        "transformer",
        "NNCF, transformer",
        "OpenVINO",
        openvino(nets.transformer, nncf_static(model_type=("ModelType", "transformer"))),
    ),
    Kind("GRU", "NNCF, int8 weights", "OpenVINO", openvino(nets.gru, nncf_weights)),
    Kind("MobileNet", "AI Edge, static", "LiteRT", litert(nets.mobilenet, "static_wi8_ai8")),
    Kind("LeNet", "AI Edge, dynamic", "LiteRT", litert(nets.lenet, "dynamic_wi8_afp32")),
    Kind("ResNet", "AI Edge, weights alone", "LiteRT", litert(nets.resnet, WEIGHTS)),
    Kind("MobileNet", "PyTorch FX, x86", "TorchScript", scripted),
    Kind("ResNet", "torchao pt2e, x86", "torch.export", exported),
    Kind("ResNet", "PyTorch FX, x86", "module", fx(nets.resnet)),
    Kind("MobileNet", "PyTorch FX, QNNPACK", "module", fx(nets.mobilenet, "qnnpack")),
    Kind("LSTM", "PyTorch dynamic", "module", eager(nets.lstm, {nn.LSTM, nn.Linear})),
    Kind("transformer", "torchao, int8 weights", "module", torchao(nets.transformer, int8_weights)),
    Kind("MLP-Mixer", "torchao, int8 dynamic", "module", torchao(nets.mixer, int8_both)),
    Kind("ViT of transformers", "PyTorch dynamic", "module", of_hugging_face),
    Kind("DenseNet", "torch.nn.utils.prune, 50 %", "module", pruned),
    Kind("ConvNeXt", "bfloat16", "module", narrow),
)
