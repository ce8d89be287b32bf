"""What a model answers with: told, and the same verdicts whatever the last activation is in."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from tiny import tiny_original, tiny_pair, tiny_splits
from tiny_files import onnx_files, photos
from torch import Tensor, nn

import compd
from compd.corpus import Corpus, collect, verify
from compd.errors import ModelError, SettingError
from compd.gating import Baseline, Policy, gate
from compd.logits import answers_of, probabilities_of
from compd.pair import Pair
from compd.pair.from_files import pair_of_files
from compd.pair.preflight import check
from compd.runtimes import Overrides, open_file
from compd.runtimes.outputs import Output, output_of

Refuses = Callable[..., AbstractContextManager[None]]
IMAGES = tiny_splits().seeds.images[:24]
ACTIVATIONS = {"softmax": ["Softmax"], "log-softmax": ["LogSoftmax"], "sigmoid": ["Sigmoid"]}


def ending(path: Path, out: Path, *nodes: onnx.NodeProto, kind: int = TensorProto.FLOAT) -> Path:
    """A file with further nodes at its end, the first of which takes what was its output."""
    model = onnx.load(path)
    (output,) = model.graph.output
    model.graph.node.extend(nodes)
    model.graph.node[-len(nodes)].input[0] = output.name
    shape = [one.dim_param or one.dim_value for one in output.type.tensor_type.shape.dim]
    model.graph.node[-1].output[0] = out.stem  # a name that no other node has
    output.CopyFrom(helper.make_tensor_value_info(out.stem, kind, [*shape[:1], None]))
    onnx.save(model, out)
    return out


def activated(folder: Path, which: str, name: str) -> Path:
    """One of the tiny files with an activation at its end."""
    path = onnx_files()[name == "deployed"]
    if which == "logits":
        return path
    nodes = [helper.make_node(kind, ["x"], ["y"]) for kind in ACTIVATIONS[which]]
    return ending(path, folder / f"{which}-{name}.onnx", *nodes)


def directly(path: Path, images: Tensor) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (into,) = session.get_inputs()
    x = images.numpy().astype(np.float32) / 255
    return np.concatenate([session.run(None, {into.name: one[None]})[0] for one in x])


def opened(folder: Path, first: str, second: str, output: str | None = None) -> Pair:
    pair, _ = pair_of_files(
        activated(folder, first, "original"),
        activated(folder, second, "deployed"),
        data=str(photos()),
        overrides=Overrides(output=output),
    )
    return pair


def run(pair: Pair, folder: Path) -> tuple[Corpus, int]:
    """Search, verify, and pass the gate; its exit status."""
    corpus = Corpus(folder, create=True)
    search = compd.fuzz(pair, IMAGES, eps=16, goal="severe", strategy="blackbox:queries=60")
    sum(collect(search, corpus))
    assert len(corpus)
    assert all(one.holds for one in verify(Corpus(folder), pair))
    policy = Policy(only_replay=True, min_severity=0.01)
    return corpus, gate(pair, corpus, Baseline(), policy=policy).exit_code


@pytest.mark.parametrize(
    ("plain", "others", "output"),
    [
        (
            ("logits", "logits"),
            [("softmax", "softmax"), ("softmax", "logits"), ("logits", "log-softmax")],
            None,
        ),
        (
            ("logits", "logits"),
            [("sigmoid", "sigmoid"), ("sigmoid", "logits"), ("logits", "sigmoid")],
            "sigmoid",
        ),
    ],
    ids=["softmax", "sigmoid"],
)
def test_an_activation_in_a_file_or_behind_it_makes_no_difference(
    plain: tuple[str, str], others: list[tuple[str, str]], output: str | None, tmp_path: Path
) -> None:
    corpus, status = run(opened(tmp_path, *plain, output), tmp_path / "plain")
    assert status == 1
    records = {one.sha256: one for one in corpus}
    for first, second in others:
        pair = opened(tmp_path, first, second)  # what is in a file alone is told by it
        found, same = run(pair, tmp_path / f"{first}-{second}")
        assert same == status
        for one in verify(corpus, pair):
            assert one.holds
            assert one.severity == pytest.approx(records[one.record.sha256].severity, abs=2e-4)
        assert len(found) == pytest.approx(len(corpus), abs=2)


@pytest.mark.parametrize("which", ["softmax", "sigmoid"])
def test_margins_are_those_of_the_probabilities_that_a_file_gives(
    which: str, tmp_path: Path
) -> None:
    pair = opened(tmp_path, which, which)
    corpus, _ = run(pair, tmp_path / "corpus")
    images = torch.stack([corpus.image(one) for one in corpus])
    for name in ("original", "deployed"):
        p = np.sort(directly(activated(tmp_path, which, name), images), 1)
        margins = p[:, -1] - p[:, -2]
        stored = [getattr(one, name).margin for one in corpus]
        np.testing.assert_allclose(stored, margins, atol=1e-4)


def single(folder: Path, name: str, *, kind: str) -> Path:
    """The tiny file with one number: a logit, or the probability that a sigmoid makes of it."""
    path = onnx_files()[name == "deployed"]
    model = onnx.load(path)
    model.graph.initializer.append(
        numpy_helper.from_array(np.array([[-1], [1], [0]], np.float32), "one")
    )
    onnx.save(model, folder / "with.onnx")
    nodes = [helper.make_node("MatMul", ["x", "one"], ["z"])]
    nodes += [helper.make_node("Sigmoid", ["z"], ["p"])] if kind == "prob" else []
    last = nodes[-1].output[0]
    nodes.append(helper.make_node("Squeeze" if kind == "flat" else "Identity", [last], ["y"]))
    return ending(folder / "with.onnx", folder / f"{kind}-{name}.onnx", *nodes)


@pytest.mark.parametrize("kind", ["logit", "prob"])
def test_one_number_for_two_classes(kind: str, tmp_path: Path) -> None:
    files = [single(tmp_path, name, kind=kind) for name in ("original", "deployed")]
    pair, splits = pair_of_files(*files, data=str(photos(flat=True)))
    assert pair.classes == ("0", "1")
    first, second = (directly(file, splits.seeds.images)[:, 0] for file in files)
    least = 0.5 if kind == "prob" else 0.0
    look = check(pair, splits.seeds)
    assert look.faults == ()
    apart = float(((first > least) != (second > least)).mean())
    assert look.natural_disagreement == pytest.approx(apart)
    corpus = Corpus(tmp_path / "corpus", create=True)
    assert sum(collect(compd.fuzz(pair, splits, eps=16, limit=30), corpus))
    for one in corpus:
        numbers = [directly(file, corpus.image(one)[None])[0, 0] for file in files]
        assert [one.original.label, one.deployed.label] == [int(z > least) for z in numbers]
        p = [z if kind == "prob" else 1 / (1 + np.exp(-z)) for z in numbers]
        assert one.severity == pytest.approx(min(abs(2 * each - 1) for each in p), abs=1e-4)


def test_one_number_that_could_be_either_is_asked_for(tmp_path: Path, refuses: Refuses) -> None:
    path = single(tmp_path, "original", kind="logit")
    nodes = [helper.make_node("HardSigmoid", ["x"], ["y"])]
    path = ending(path, tmp_path / "hard.onnx", *nodes)
    with refuses("hard.onnx", "--output probs", "--output logits"):
        open_file(path)
    assert open_file(path, Overrides(output="probs")).format.answers.single
    with refuses("one number", "3"):
        open_file(onnx_files()[0], Overrides(output="binary"))


@pytest.mark.parametrize("signed", [False, True])
def test_integers_at_both_ends(signed: bool, tmp_path: Path) -> None:
    """As toolchains leave them that take the first quantiser and the last dequantiser off."""
    kind = TensorProto.INT8 if signed else TensorProto.UINT8
    dtype = np.int8 if signed else np.uint8
    zero = -128 if signed else 0
    model = onnx.load(onnx_files()[1])
    (given,), (output,) = model.graph.input, model.graph.output
    scales = {"in": 1 / 255, "out": 0.1}
    for name, value in scales.items():
        model.graph.initializer.append(
            numpy_helper.from_array(np.array(value, np.float32), f"{name}-scale")
        )
    for name, value in (("in", zero), ("out", zero + 100)):
        model.graph.initializer.append(numpy_helper.from_array(np.array(value, dtype), name))
    for node in model.graph.node:
        for at, name in enumerate(node.input):
            node.input[at] = "real" if name == given.name else name
    model.graph.node.insert(
        0, helper.make_node("DequantizeLinear", [given.name, "in-scale", "in"], ["real"])
    )
    model.graph.node.append(
        helper.make_node("QuantizeLinear", [output.name, "out-scale", "out"], ["y"])
    )
    given.type.tensor_type.elem_type = kind
    output.CopyFrom(helper.make_tensor_value_info("y", kind, ["n", 3]))
    path = tmp_path / "integers.onnx"
    onnx.save(model, path)
    runtime = open_file(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    levels = (IMAGES.numpy().astype(int) + zero).astype(dtype)
    raw = np.concatenate([session.run(None, {given.name: one[None]})[0] for one in levels])
    want = (raw.astype(np.float32) - (zero + 100)) * np.float32(0.1)
    np.testing.assert_allclose(runtime.run(IMAGES).numpy(), want, atol=1e-6)


def test_labels_and_integers_without_a_scale_are_refused(tmp_path: Path, refuses: Refuses) -> None:
    argmax = helper.make_node("ArgMax", ["x"], ["y"], axis=1, keepdims=1)
    path = ending(onnx_files()[0], tmp_path / "label.onnx", argmax, kind=TensorProto.INT64)
    with refuses("label.onnx", "labels", "ArgMax"):
        open_file(path)
    cast = helper.make_node("Cast", ["x"], ["y"], to=TensorProto.INT32)
    path = ending(onnx_files()[0], tmp_path / "whole.onnx", cast, kind=TensorProto.INT32)
    with refuses("whole.onnx", "int32 without a scale"):
        open_file(path)


class Answers(nn.Module):
    """A network with something behind its logits."""

    def __init__(self, net: nn.Module, behind: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.net, self.behind = net, behind

    def forward(self, x: Tensor) -> Tensor:
        return self.behind(self.net(x))


@pytest.mark.parametrize("wrapped", [False, True], ids=["module", "function"])
@pytest.mark.parametrize("behind", [nn.Softmax(1), nn.LogSoftmax(1), nn.Identity()])
def test_objects_are_told_by_their_values(behind: nn.Module, wrapped: bool) -> None:
    ours = tiny_pair()

    def device(images: Tensor) -> np.ndarray:
        found: np.ndarray = behind(ours.deployed.run(images)).numpy()
        return found

    original = Answers(tiny_original(), behind)
    pair = compd.Pair.from_modules(
        (lambda images: original(images.float() / 255).detach()) if wrapped else original,
        device,
        example=IMAGES[:1],
    )
    plain = compd.Pair.from_modules(tiny_original(), ours.deployed.run, example=IMAGES[:1])
    for mine, other in ((pair.reference, plain.reference), (pair.deployed, plain.deployed)):
        one, two = (x.run(IMAGES).softmax(1) for x in (mine, other))
        torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-4)


def test_objects_with_sigmoids() -> None:
    ours = tiny_pair()
    net = Answers(tiny_original(), nn.Sigmoid())

    def device(images: Tensor) -> Tensor:
        return ours.deployed.run(images).sigmoid()

    with pytest.raises(ModelError, match="output=sigmoid") as raised:
        # the module ends in a sigmoid; what a function does nobody can see
        compd.evaluate(compd.Pair.from_modules(device, device, example=IMAGES[:1]), IMAGES)
    assert "\n" not in str(raised.value)
    pair = compd.Pair.from_modules(net, device, example=IMAGES[:1], output="sigmoid")
    assert pair.heads == ("sigmoid", "sigmoid")
    assert compd.Pair.from_modules(net, device, example=IMAGES[:1]).heads[0] == "sigmoid"
    for one in compd.fuzz(pair, IMAGES[:20], eps=24, strategy="blackbox:queries=100"):
        shown = one.image[None]
        with torch.inference_mode():
            p = [net(shown.float() / 255)[0], device(shown)[0]]
        margins = [float(each.topk(2).values.diff().abs()) for each in p]
        assert one.severity == pytest.approx(min(margins), abs=1e-4)


def test_a_factory_that_returns_probabilities_is_one_line() -> None:
    pair = compd.Pair.from_modules(
        Answers(tiny_original(), nn.Softmax(1)), tiny_pair().deployed.run, classes="abc"
    )
    with pytest.raises(ModelError, match="add up to 1: probabilities"):
        list(compd.fuzz(pair, IMAGES))


@given(st.lists(st.floats(-12, 12, width=32), min_size=2, max_size=6))
def test_probabilities_and_logits_are_one(row: list[float]) -> None:
    logits = torch.tensor([row])
    for kind in ("probs", "sigmoid"):
        head = Output(kind).head
        assert head is not None
        back = Output(kind).logits(probabilities_of(logits, head), "a model")
        one, two = (answers_of(x, head=head) for x in (logits, back))
        torch.testing.assert_close(one.margin, two.margin, atol=1e-5, rtol=1e-4)
        assert int(two.label) == int(probabilities_of(logits, head).argmax())


def test_values_tell_where_nobody_says_it() -> None:
    logits = torch.tensor([[1.0, -2.0, 0.5], [0.1, 0.2, 0.3]])
    name = "a model"
    assert output_of(logits, said=None, told=None, name=name) == Output()
    assert output_of(logits.softmax(1), said=None, told=None, name=name) == Output("probs")
    assert output_of(logits, said="sigmoid", told=None, name=name).raw
    assert not output_of(logits.sigmoid(), said="sigmoid", told=None, name=name).raw
    assert output_of(logits[:, 1:2], said=None, told=None, name=name) == Output(single=True)
    with pytest.raises(SettingError):
        output_of(logits, said="binary", told=None, name=name)
    with pytest.raises(ModelError, match="numbers in"):
        Output("sigmoid").logits(logits, name)


def test_what_is_advised_for_a_softmax_without_one_of_its_classes_mends_it(tmp_path: Path) -> None:
    files = []
    for i in (0, 1):
        wide = onnx.load(onnx_files()[i])
        (output,) = wide.graph.output
        constants = {"pads": [0, 1, 0, 0], "from": [1], "to": [4], "axis": [1]}
        wide.graph.initializer.extend(
            numpy_helper.from_array(np.array(value), name) for name, value in constants.items()
        )
        wide.graph.node.extend(
            [
                helper.make_node("Pad", [output.name, "pads"], ["wide"]),
                helper.make_node("Softmax", ["wide"], ["p"]),
                helper.make_node("Slice", ["p", "from", "to", "axis"], ["cut"]),
            ]
        )
        output.name = "cut"
        files.append(tmp_path / f"{i}.onnx")
        onnx.save(wide, files[-1])

    def faults(**said: str) -> tuple[str, ...]:
        pair, splits = pair_of_files(*files, data=str(photos()), overrides=Overrides(**said))
        return check(pair, splits.seeds).faults

    for said in ({}, {"output": "probs"}):
        first, *_ = faults(**said)
        assert str(first).partition("; pass ")[2] == "output=sigmoid"
    assert not faults(output="sigmoid")
