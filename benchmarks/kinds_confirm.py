"""A corpus, image by image, by the runtimes themselves. Imports nothing of compd."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

Ask = Callable[[np.ndarray], np.ndarray]  # uint8 (H, W, C) to the scores of one image, (K,)


@singledispatch
def asked(model: Any, output: str | None = None) -> Ask:
    """A function that asks a model about one image."""
    raise TypeError(type(model))


@asked.register
def of_module(model: nn.Module, output: str | None = None) -> Ask:
    def ask(image: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            answer = model(torch.from_numpy(planes(image)))
        return getattr(answer, "logits", answer)[0].float().numpy()

    return ask


@asked.register
def of_file(model: Path, output: str | None = None) -> Ask:
    return OPENED[model.suffix](model, output)


def planes(image: np.ndarray) -> np.ndarray:
    """Float32 (1, C, H, W) in 0..1."""
    return image.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255)


def onnx(path: Path, output: str | None) -> Ask:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    wanted = [output or session.get_outputs()[0].name]
    return lambda image: session.run(wanted, {given.name: planes(image)})[0][0]


def tflite(path: Path, output: str | None) -> Ask:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    (given,), (gives,) = interpreter.get_input_details(), interpreter.get_output_details()

    def ask(image: np.ndarray) -> np.ndarray:
        x, kind = planes(image), given["dtype"]
        if kind is not np.float32:
            scale, zero = given["quantization"]
            ends = np.iinfo(kind)
            x = np.clip(np.round(x / np.float32(scale)) + zero, ends.min, ends.max).astype(kind)
        interpreter.set_tensor(given["index"], x)
        interpreter.invoke()
        y = interpreter.get_tensor(gives["index"])[0]
        if gives["dtype"] is np.float32:
            return y.copy()
        scale, zero = gives["quantization"]
        return (y.astype(np.float32) - zero) * np.float32(scale)

    return ask


def openvino(path: Path, output: str | None) -> Ask:
    import openvino as ov

    how = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    model = ov.Core().compile_model(str(path), "CPU", how)
    return lambda image: np.asarray(model({0: planes(image)})[0])[0].copy()


def torchscript(path: Path, output: str | None) -> Ask:
    return of_module(torch.jit.load(path))


def exported(path: Path, output: str | None) -> Ask:
    """A program of torch.export, lowered to oneDNN, with its batch full of one image."""
    from torchao.quantization.pt2e.lowering import lower_pt2e_quantized_to_x86

    program = torch.export.load(path)
    shape = program.example_inputs[0][0].shape
    with torch.no_grad():
        lowered = lower_pt2e_quantized_to_x86(program.module(), (torch.rand(shape),))

    def ask(image: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return lowered(torch.from_numpy(planes(image).repeat(shape[0], 0)))[0].numpy()

    return ask


OPENED = {
    ".onnx": onnx,
    ".tflite": tflite,
    ".xml": openvino,
    ".ts": torchscript,
    ".pt2": exported,
}


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores.astype(np.float64) - scores.max())
    return powers / powers.sum()


FINAL: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "softmax": softmax,
    "none": lambda scores: scores.astype(np.float64),
    "binary": lambda p: np.array([1 - float(p[0]), float(p[0])]),
}


def margin(p: np.ndarray) -> float:
    """What the largest probability is ahead of the next."""
    least, most = np.sort(p)[-2:]
    return float(most - least)


@dataclass
class Confirmed:
    """What the runtimes say of the entries of a corpus."""

    entries: int = 0
    confirmed: int = 0
    off: float = 0.0  # the largest difference from a severity that was stored


def confirm(corpus: Path, original: Ask, deployed: Ask, final: str, eps: int) -> Confirmed:
    """Ask both models about each stored PNG and its seed."""
    said, turn = Confirmed(), FINAL[final]
    for line in (corpus / "metadata.jsonl").read_text().splitlines():
        record = json.loads(line)
        image, seed = (
            opened(corpus / record[name], record["pair"]["model"]["channels"])
            for name in ("file_name", "seed_file_name")
        )
        p, q, before = turn(original(image)), turn(deployed(image)), turn(original(seed))
        severity = min(margin(p), margin(q))
        said.entries += 1
        said.off = max(said.off, abs(severity - record["severity"]))
        said.confirmed += bool(
            p.argmax() == before.argmax() == record["original"]["label"]
            and q.argmax() != p.argmax()
            and q.argmax() == record["deployed"]["label"]
            and np.abs(image.astype(int) - seed.astype(int)).max() <= eps
        )
    return said


def opened(path: Path, channels: int) -> np.ndarray:
    """uint8 (H, W, C)."""
    image = np.asarray(Image.open(path).convert("RGB" if channels == 3 else "L"))
    return image if channels == 3 else image[..., None]
