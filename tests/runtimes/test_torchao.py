"""Files of torch.export that torchao quantised, exported from the tiny pair."""

import json
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
import torch
from tiny import CLASSES, CPU, SIZE, tiny_original, tiny_pair, tiny_spec, tiny_splits
from tiny_files import onnx_files, photos

from compd.compress import Prune
from compd.exporting import export
from compd.pair import Pair
from compd.pair.from_files import deployed_as, pair_of_files
from compd.pair.preflight import check
from compd.runtimes import FileRuntime, FloatRuntime, Overrides, open_file

pytest.importorskip("torchao", reason="needs the extra torchao")

Refuses = Callable[..., Any]
TRUSTED = Overrides(trust=True)
IMAGES = tiny_splits().test().images  # 200: six batches and a part of one


@cache
def quantised() -> Path:
    path = Path(mkdtemp(prefix="compd-torchao-")) / "tiny.pt2"
    return export(tiny_pair(), "torchao", path, splits=tiny_splits()).files[0]


@cache
def lowered() -> FileRuntime:
    return open_file(quantised(), TRUSTED)


@cache
def plain() -> FileRuntime:
    return lowered().plain()


def saved(path: Path, module: torch.nn.Module, *examples: torch.Tensor, **extra: str) -> Path:
    program = torch.export.export(module.eval(), examples)
    torch.export.save(program, path, extra_files=extra)
    return path


def test_answers() -> None:
    logits = lowered().run(IMAGES)
    torch.testing.assert_close(logits, plain().run(IMAGES), atol=0.02, rtol=0)
    original = tiny_pair().reference.run(IMAGES)
    assert float((logits.argmax(1) == original.argmax(1)).double().mean()) >= 0.95
    assert not torch.equal(logits, original)


def test_a_part_of_a_batch() -> None:
    form = lowered().format
    assert form.batch == 32
    whole = lowered().run(IMAGES)
    for count in (1, 33):
        torch.testing.assert_close(lowered().run(IMAGES[:count]), whole[:count])
    assert lowered().run(IMAGES[:0]).shape == (0, 3)


def test_census() -> None:
    census = lowered().census
    assert sum(n for name, n in census["int8"].items() if name.startswith("qconv")) == 2
    assert sum(census["int8"].values()) == 3
    assert not census["float32"].keys() & {"conv2d", "convolution", "linear", "addmm", "relu"}
    assert plain().census.keys() == {"float32"}
    assert plain().census["float32"]["conv2d"] == 2
    parts = lowered().compressed
    assert parts is not None
    assert {"int8", "quantize_per_tensor"} <= set(parts)


def test_what_the_file_says() -> None:
    runtime = lowered()
    form = runtime.format
    assert (form.channels, form.height, form.layout, form.output) == (3, SIZE, "NCHW", "logits")
    assert (form.range, form.dtype) == ((0.0, 1.0), "float32")
    assert runtime.class_names == CLASSES
    assert "torchao" in runtime.facts
    assert (runtime.engine, plain().engine) == ("torchao-onednn", "torchao-onednn-plain")
    assert runtime.content_hash == plain().content_hash


def test_the_file_holds_integers_and_nothing_of_ours(tmp_path: Path) -> None:
    again = export(tiny_pair(), "torchao", tmp_path / "a.pt2", splits=tiny_splits())
    assert (tmp_path / "a.pt2").read_bytes() == quantised().read_bytes()
    assert (again.of, again.rows) == ("original", tiny_splits().calibration.rows)
    with zipfile.ZipFile(quantised()) as archive:
        names = {Path(name).name: name for name in archive.namelist()}
        weights = json.loads(archive.read(names["model_weights_config.json"]))["config"]
        assert not {"net.conv1.weight", "net.conv2.weight", "net.linear.weight"} & weights.keys()
        assert archive.read(names["model.pt"]) == b""  # an example: would be images, pickled
        assert b".py" not in archive.read(names["model.json"])


def test_a_pair_with_it_as_deployed() -> None:
    result = check(deployed_as(tiny_pair(), quantised(), TRUSTED), tiny_splits().seeds)
    assert result.faults == ()
    assert result.natural_disagreement <= 0.05
    assert result.files[1].int8_share == pytest.approx(3 / 7)
    pair, _ = pair_of_files(onnx_files()[0], quantised(), data=str(photos()), overrides=TRUSTED)
    assert pair.has_shadow
    assert "is its shadow" in pair.notes[-1]


def test_a_network_that_flattens_what_a_convolution_answers(tmp_path: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 3, stride=4),
            torch.nn.ReLU(),
            torch.nn.Flatten(),
            torch.nn.Linear(64, 3),
        ).eval()
    judge = FloatRuntime(net, CPU)
    pair = Pair(tiny_spec(Prune()), net, None, device=CPU, deployed=judge)
    done = export(pair, "torchao", tmp_path / "a.pt2", splits=tiny_splits())
    runtime = open_file(done.files[0], TRUSTED)
    assert sum(runtime.census["int8"].values()) == 2
    torch.testing.assert_close(runtime.run(IMAGES), judge.run(IMAGES), atol=0.05, rtol=0)


def test_a_network_of_which_nothing_is_quantised_is_refused(
    tmp_path: Path, refuses: Callable[..., AbstractContextManager[None]]
) -> None:
    net = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    pair = Pair(tiny_spec(Prune()), net, None, device=CPU, deployed=FloatRuntime(net, CPU))
    with refuses("expected layers that torchao quantises", "would hold the float model"):
        export(pair, "torchao", tmp_path / "a.pt2", splits=tiny_splits())


@pytest.mark.filterwarnings("ignore:No complete tensor found:UserWarning")
def test_a_float_file_of_any_batch(tmp_path: Path) -> None:
    program = torch.export.export(
        torch.nn.Sequential(tiny_original(), torch.nn.Softmax(1)),
        (torch.zeros(2, 3, SIZE, SIZE),),
        dynamic_shapes=({0: torch.export.Dim("N")},),
    )
    torch.export.save(program, tmp_path / "a.pt2")
    runtime = open_file(tmp_path / "a.pt2", TRUSTED)
    assert (runtime.format.output, runtime.format.batch) == ("probs", 32)
    assert runtime.class_names == ()
    assert "int8" not in runtime.census
    assert runtime.compressed == ()
    want = tiny_pair().reference.run(IMAGES).log_softmax(1)
    torch.testing.assert_close(runtime.run(IMAGES), want, atol=1e-3, rtol=1e-3)


@pytest.mark.filterwarnings("ignore:No complete tensor found:UserWarning")
def test_weights_alone_in_integers(tmp_path: Path) -> None:
    quantization = pytest.importorskip("torchao.quantization")
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * SIZE**2, 3))
    quantization.quantize_(net, quantization.Int8WeightOnlyConfig())
    path = saved(tmp_path / "a.pt2", net, torch.zeros(4, 3, SIZE, SIZE))
    runtime = open_file(path, TRUSTED)
    assert "int8" in (runtime.compressed or ())
    assert runtime.census.keys() == {"float32"}
    assert any("linear" in name or "mm" in name for name in runtime.census["float32"])


def test_refused_unless_trusted(refuses: Refuses) -> None:
    for overrides in (None, Overrides(), Overrides(layout="NCHW")):
        with refuses("--trust", "tiny.pt2"):
            open_file(quantised(), overrides)
    with refuses("--trust"):
        deployed_as(tiny_pair(), quantised())
    assert lowered().read_as(Overrides(bgr=True)).format.bgr


def test_refused_without_kernels(monkeypatch: pytest.MonkeyPatch, refuses: Refuses) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    with refuses("oneDNN", "tiny.pt2"):
        open_file(quantised(), TRUSTED)


def test_broken(tmp_path: Path, refuses: Refuses) -> None:
    whole, path = quantised().read_bytes(), tmp_path / "a.pt2"
    for content in (whole[: len(whole) // 2], b"PK\3\4 and no more", b"PK"):
        path.write_bytes(content)
        with refuses("torch", "load", "a.pt2"):
            open_file(path, TRUSTED)
    path.write_bytes(b"hello, world")
    with refuses("torch.export", "a.pt2"):
        open_file(path, TRUSTED)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("what.txt", "a zip of something else")
    with refuses("load", "a.pt2"):
        open_file(path, TRUSTED)


def test_no_classifier(tmp_path: Path, refuses: Refuses) -> None:
    image, path = torch.zeros(2, 3, 8, 8), tmp_path / "a.pt2"

    class Sum(torch.nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return (x + y).mean((2, 3))

    with refuses("one input", "a.pt2"):
        open_file(saved(path, Sum(), image, image), TRUSTED)
    with refuses("one number a class", "a.pt2"):
        open_file(saved(path, torch.nn.Conv2d(3, 3, 1), image), TRUSTED)
    with refuses("four dimensions", "a.pt2"):
        open_file(saved(path, torch.nn.Linear(3, 3), image[:, :, 0, 0]), TRUSTED)
    with refuses("load", "a.pt2"):
        open_file(saved(path, torch.nn.Flatten(), image, **{"compd.json": "[1]"}), TRUSTED)
