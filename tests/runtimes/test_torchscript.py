"""TorchScript files: the tiny network, as it is, quantised in several ways, and what is none."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import SIZE, TinyNet, tiny_original, tiny_pair, tiny_splits
from torch import Tensor, nn
from torch.ao.quantization import quantize_dynamic

from compd.compress.int8 import convert
from compd.pair.from_files import deployed_as, pair_of_files
from compd.pair.preflight import check
from compd.runtimes import FileRuntime, Overrides, open_file
from compd.runtimes.batching import Batching

pytestmark = [pytest.mark.filterwarnings("ignore")]

TRUSTED = Overrides(trust=True)
IMAGES = tiny_splits().seeds.images[:40]


def int8() -> nn.Module:
    return convert(tiny_pair().shadow, torch.backends.quantized.engine)


def dynamic() -> nn.Module:
    return quantize_dynamic(tiny_original(), {nn.Linear})


class Object(nn.Module):
    """Answers with a mapping."""

    def __init__(self) -> None:
        super().__init__()
        self.net = tiny_original()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"features": x, "logits": self.net(x)}


class Probabilities(Object):
    def forward(self, x: Tensor) -> Tensor:
        return self.net(x).softmax(1)


def traced(module: nn.Module) -> Any:
    return torch.jit.trace(module, torch.rand(2, 3, SIZE, SIZE), check_trace=False, strict=False)


def saved(path: Path, scripted: Any) -> Path:
    torch.jit.save(scripted, path)
    return path


def answers(scripted: Any, images: Tensor) -> Tensor:
    with torch.inference_mode():
        answer = torch.cat([scripted(image[None] / 255) for image in images])
    return answer


KINDS: dict[str, tuple[Callable[[], Any], str, dict[str, int]]] = {
    "float.ts": (lambda: traced(tiny_original()), "float32", {"_convolution": 2, "linear": 1}),
    "scripted.pt": (lambda: torch.jit.script(TinyNet().eval()), "float32", {"conv2d": 2}),
    "frozen.pt": (
        lambda: torch.jit.freeze(torch.jit.script(TinyNet().eval())),
        "float32",
        {"conv2d": 2},
    ),
    "int8.pt": (
        lambda: traced(int8()),
        "int8",
        {"conv2d_relu": 1, "conv2d": 1, "add_relu": 1, "linear": 1, "max_pool2d": 1},
    ),
    "dynamic.pth": (lambda: traced(dynamic()), "int8", {"linear_dynamic": 1}),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_file_answers_as_the_module_that_was_saved(name: str, tmp_path: Path) -> None:
    make, kind, operators = KINDS[name]
    scripted = make()
    runtime = open_file(saved(tmp_path / name, scripted), TRUSTED, size=SIZE)
    expected = answers(scripted, IMAGES)
    torch.testing.assert_close(runtime.run(IMAGES), expected, atol=1e-5, rtol=1e-4)
    assert runtime.format.classes == 3
    assert (runtime.batching is Batching.DEPENDS) == (name == "dynamic.pth")
    found = runtime.census[kind]
    assert {key: found.get(key) for key in operators} == operators
    plain = runtime.plain()
    assert plain is not None
    torch.testing.assert_close(plain.run(IMAGES), expected, atol=1e-5, rtol=1e-4)


def test_all_of_an_int8_file_but_its_normalisation_is_int8(tmp_path: Path) -> None:
    runtime = open_file(saved(tmp_path / "a.pt", traced(int8())), TRUSTED, size=SIZE)
    assert runtime.census["float32"] == {"sub": 1, "div": 1}
    assert runtime.engine == f"torchscript-{torch.backends.quantized.engine}"


def test_a_mapping_and_probabilities(tmp_path: Path) -> None:
    expected = answers(tiny_original(), IMAGES)
    mapping = open_file(saved(tmp_path / "a.ts", traced(Object())), TRUSTED, size=SIZE)
    torch.testing.assert_close(mapping.run(IMAGES), expected, atol=1e-5, rtol=1e-4)
    probs = open_file(saved(tmp_path / "b.ts", traced(Probabilities())), TRUSTED, size=SIZE)
    assert probs.format.output == "probs"
    torch.testing.assert_close(probs.run(IMAGES).exp(), expected.softmax(1), atol=1e-5, rtol=1e-4)


def test_grey_images(tmp_path: Path) -> None:
    grey = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 3)).eval()
    runtime = open_file(saved(tmp_path / "a.ts", torch.jit.script(grey)), TRUSTED, size=8)
    assert runtime.format.channels == 1


def test_it_stands_for_the_deployed_model_of_a_pair(tmp_path: Path) -> None:
    pair = tiny_pair()
    file = saved(tmp_path / "int8.pt", traced(int8()))
    other = deployed_as(pair, file, TRUSTED)
    assert isinstance(other.deployed, FileRuntime)
    torch.testing.assert_close(
        other.deployed.run(IMAGES), pair.deployed.run(IMAGES), atol=1e-5, rtol=1e-4
    )
    found = check(other, tiny_splits())
    assert found.faults == ()


def test_two_files_are_a_pair_without_gradients(tmp_path: Path, make_folder: Any) -> None:
    one = saved(tmp_path / "float.ts", traced(tiny_original()))
    two = saved(tmp_path / "int8.ts", traced(int8()))
    photos = make_folder(tmp_path / "photos", ("a", "b", "c"), each=20, height=SIZE)
    pair, splits = pair_of_files(
        one, two, data=str(photos), overrides=TRUSTED, size=SIZE, device="cpu"
    )
    assert not pair.has_shadow
    assert pair.reference.run(splits.seeds.images).shape[1] == 3


def test_it_is_opened_only_if_it_is_trusted(tmp_path: Path, refuses: Any) -> None:
    file = saved(tmp_path / "a.pt", traced(tiny_original()))
    with refuses("--trust", "a.pt"):
        open_file(file, size=SIZE)


def test_without_a_size_it_is_asked_for(tmp_path: Path, refuses: Any) -> None:
    file = saved(tmp_path / "a.pt", traced(tiny_original()))
    with refuses("--size", "a.pt"):
        open_file(file, TRUSTED)


def _state(path: Path) -> None:
    torch.save(tiny_original().state_dict(), path)


def _pickle(path: Path) -> None:
    torch.save(TinyNet(), path)


def _legacy(path: Path) -> None:
    torch.save(tiny_original().state_dict(), path, _use_new_zipfile_serialization=False)


def _cut(path: Path) -> None:
    saved(path, traced(tiny_original()))
    path.write_bytes(path.read_bytes()[:-200])


def _broken(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/constants.pkl", b"x")
        archive.writestr("a/code/__torch__.py", b"x")


def _detector(path: Path) -> None:
    saved(path, torch.jit.script(nn.Conv2d(3, 4, 3)))


@pytest.mark.parametrize(
    ("make", "culprits"),
    [
        (_state, ("holds tensors or a pickled object", "--weights")),
        (_pickle, ("holds tensors or a pickled object", "torch.jit.script(model)")),
        (_legacy, ("no archive of PyTorch",)),
        (_cut, ("no archive of PyTorch",)),
        (_broken, ("can load",)),
        (_detector, ("one number a class", "(1, 4, 14, 14)")),
    ],
)
def test_what_is_none_is_told_in_one_line(
    make: Callable[[Path], None], culprits: tuple[str, ...], tmp_path: Path, refuses: Any
) -> None:
    make(tmp_path / "a.pt")
    with refuses("'a.pt'" if make is _detector else "a.pt", *culprits):
        open_file(tmp_path / "a.pt", TRUSTED, size=SIZE)
