from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from compd.data import load_data
from compd.models import (
    Classifier,
    build_zoo_model,
    load_weights_,
    read_weights,
    state_hash,
)
from compd.models.inputs import predict, to_input


def tiny() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(72, 3))


def changed() -> nn.Module:
    """The same architecture with other values in every tensor."""
    net = tiny()
    for value in net.state_dict().values():
        value += 1
    return net


def store(path: Path, state: Any) -> Path:
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
def test_what_was_saved_is_loaded(tmp_path: Path, suffix: str) -> None:
    source, target = changed(), tiny()
    weights = read_weights(store(tmp_path / f"net{suffix}", source.state_dict()))
    assert (weights.mean, weights.std) == (None, None)
    load_weights_(target, weights)
    assert state_hash(target.state_dict()) == state_hash(source.state_dict())


def test_the_old_torch_format_is_loaded(tmp_path: Path) -> None:
    source, target = changed(), tiny()
    torch.save(source.state_dict(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    load_weights_(target, read_weights(tmp_path / "old.pth"))
    assert state_hash(target.state_dict()) == state_hash(source.state_dict())


@pytest.mark.parametrize(
    "wrapper", ["state_dict", "model_state_dict", "net", "model", "model_state"]
)
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "model.", "net.", "module.net."])
def test_wrappers_and_prefixes_are_understood(tmp_path: Path, wrapper: str, prefix: str) -> None:
    source, target = changed(), tiny()
    state = {prefix + key: value for key, value in source.state_dict().items()}
    file = store(tmp_path / "net.pt", {"epoch": 3, wrapper: state, "optimizer": {"lr": 0.1}})
    load_weights_(target, read_weights(file))
    assert state_hash(target.state_dict()) == state_hash(source.state_dict())


def test_wrappers_may_be_nested(tmp_path: Path) -> None:
    target = tiny()
    file = store(tmp_path / "net.pt", {"model": {"state_dict": changed().state_dict()}})
    load_weights_(target, read_weights(file))
    assert state_hash(target.state_dict()) == state_hash(changed().state_dict())


def test_counters_of_batchnorm_may_be_missing(tmp_path: Path) -> None:
    state = {k: v for k, v in changed().state_dict().items() if "num_batches" not in k}
    target = tiny()
    load_weights_(target, read_weights(store(tmp_path / "net.safetensors", state)))
    assert torch.equal(target.get_parameter("0.weight"), state["0.weight"])


def test_half_precision_is_widened(tmp_path: Path) -> None:
    state = {k: v.half() if v.is_floating_point() else v for k, v in tiny().state_dict().items()}
    target = changed()
    load_weights_(target, read_weights(store(tmp_path / "net.safetensors", state)))
    assert target.get_parameter("0.weight").dtype == torch.float32
    assert torch.equal(target.get_parameter("0.weight"), state["0.weight"].float())


@pytest.mark.parametrize("text", ["0.5, 0.25, 1", "(0.5,0.25,1)", "[0.5, 0.25, 1.0]"])
def test_normalisation_comes_from_the_metadata(tmp_path: Path, text: str) -> None:
    save_file(tiny().state_dict(), tmp_path / "net.safetensors", {"mean": text, "std": "1,2,3"})
    weights = read_weights(tmp_path / "net.safetensors")
    assert weights.mean == (0.5, 0.25, 1.0)
    assert weights.std == (1.0, 2.0, 3.0)


def test_metadata_that_is_no_number(tmp_path: Path, refuses: Any) -> None:
    file = tmp_path / "net.safetensors"
    save_file(tiny().state_dict(), file, {"mean": "imagenet"})
    with refuses("'imagenet'", str(file)):
        read_weights(file)


def test_a_missing_file(tmp_path: Path, refuses: Any) -> None:
    with refuses(f"weights={str(tmp_path / 'none.pt')!r}", "no such file"):
        read_weights(tmp_path / "none.pt")
    with refuses("no such file"):
        read_weights(tmp_path)


@pytest.mark.parametrize("name", ["net.onnx", "net.ckpt", "net"])
def test_another_suffix(tmp_path: Path, refuses: Any, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with refuses(f"weights={str(tmp_path / name)!r}", ".safetensors, .pt or .pth"):
        read_weights(tmp_path / name)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("damage", ["empty", "cut", "text"])
def test_a_damaged_file(tmp_path: Path, refuses: Any, suffix: str, damage: str) -> None:
    file = store(tmp_path / f"net{suffix}", tiny().state_dict())
    whole = file.read_bytes()
    file.write_bytes({"empty": b"", "cut": whole[: len(whole) // 2], "text": b"weights!"}[damage])
    with refuses(f"weights={str(file)!r}"):
        read_weights(file)


@pytest.fixture(scope="module", params=["net.pt", "old.pt", "net.safetensors"])
def whole_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("weights") / str(request.param)
    state = {"a": torch.arange(3.0), "b": torch.arange(2)}
    if file.name == "old.pt":
        torch.save(state, file, _use_new_zipfile_serialization=False)
    else:
        store(file, state)
    return file


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@given(data=st.data())
def test_any_damage_gives_tensors_or_one_line(
    data: st.DataObject, whole_file: Path, refuses: Any
) -> None:
    damaged = bytearray(whole_file.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    del damaged[data.draw(st.integers(len(damaged) // 2, len(damaged))) :]
    file = whole_file.with_name(f"damaged{whole_file.suffix}")
    file.write_bytes(damaged)
    with refuses(str(file), always=False):
        weights = read_weights(file)
        assert all(isinstance(value, Tensor) for value in weights.tensors.values())


class Payload:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("new", [True, False], ids=["zip", "old"])
def test_a_pickled_object_is_never_run(tmp_path: Path, refuses: Any, new: bool) -> None:
    file = tmp_path / "net.pt"
    content = {"state_dict": tiny().state_dict(), "extra": Payload(tmp_path / "owned")}
    torch.save(content, file, _use_new_zipfile_serialization=new)
    with refuses(f"weights={str(file)!r}", "state dict"):
        read_weights(file)
    assert not (tmp_path / "owned").exists()


def test_a_whole_pickled_module_is_refused(tmp_path: Path, refuses: Any) -> None:
    with refuses("save only the state dict"):
        read_weights(store(tmp_path / "net.pt", nn.Linear(2, 2)))


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, torch.zeros(2), {"state_dict": {}}])
def test_plain_data_that_is_no_state_dict(tmp_path: Path, refuses: Any, content: Any) -> None:
    with refuses("expected a state dict", str(tmp_path / "net.pt")):
        read_weights(store(tmp_path / "net.pt", content))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_values_that_are_not_finite(
    tmp_path: Path, refuses: Any, value: float, suffix: str
) -> None:
    net = tiny()
    with torch.no_grad():
        net.get_parameter("3.weight")[1, :2] = value
    file = store(tmp_path / f"net{suffix}", net.state_dict())
    with refuses("2 NaN or infinite values", "'3.weight'", str(file)):
        read_weights(file)


def test_another_architecture_is_named_by_its_tensors(tmp_path: Path, refuses: Any) -> None:
    file = store(tmp_path / "net.pt", build_zoo_model("lenet5", classes=3).net.state_dict())
    target = tiny()
    before = state_hash(target.state_dict())
    with refuses(str(file), "missing 0.bias, 0.weight and 6 more", "unknown conv1.bias", "--model"):
        load_weights_(target, read_weights(file))
    assert state_hash(target.state_dict()) == before


def test_another_width_is_named_by_its_shapes(tmp_path: Path, refuses: Any) -> None:
    narrow, wide = (build_zoo_model("lenet5", classes=3, width=width).net for width in (2, 4))
    file = store(tmp_path / "net.pt", narrow.state_dict())
    before = state_hash(wide.state_dict())
    with refuses("'conv1.weight'", "(4, 3, 5, 5)", "(2, 3, 5, 5)", str(file), "--width"):
        load_weights_(wide, read_weights(file))
    assert state_hash(wide.state_dict()) == before


TENSORS = st.builds(
    lambda seed, shape, dtype: torch.from_numpy(
        np.random.default_rng(seed).integers(0, 100, shape).astype(dtype)
    ),
    st.integers(0, 99),
    st.lists(st.integers(0, 3), max_size=3),
    st.sampled_from(["float32", "float16", "int64", "uint8"]),
)


@given(st.dictionaries(st.text(max_size=3), TENSORS, max_size=4), st.randoms(use_true_random=False))
def test_a_state_hash_ignores_the_order_of_keys(state: dict[str, Tensor], random: Any) -> None:
    keys = list(state)
    random.shuffle(keys)
    assert state_hash({key: state[key].clone() for key in keys}) == state_hash(state)


@given(
    st.dictionaries(st.text(max_size=3), TENSORS, min_size=1, max_size=4).filter(
        lambda state: any(value.numel() for value in state.values())
    ),
    st.data(),
)
def test_a_state_hash_sees_each_value(state: dict[str, Tensor], data: st.DataObject) -> None:
    key = data.draw(st.sampled_from([key for key, value in state.items() if value.numel()]))
    place = data.draw(st.integers(0, state[key].numel() - 1))
    other = {name: value.clone() for name, value in state.items()}
    other[key].view(-1)[place] += 1
    assert state_hash(other) != state_hash(state)


def test_a_state_hash_sees_names_shapes_dtypes_and_extras() -> None:
    base = torch.zeros(4)
    states: list[dict[str, Any]] = [
        {"a": base},
        {"b": base},
        {"a": base.view(2, 2)},
        {"a": base.int()},
        {"a": base, "b": None},
        {"a": base, "b": torch.qint8},
        {},
    ]
    assert len({state_hash(state) for state in states}) == len(states)


def test_a_state_hash_ignores_the_memory_layout() -> None:
    value = torch.arange(24.0).reshape(1, 2, 3, 4)
    other = value.contiguous(memory_format=torch.channels_last)
    assert state_hash({"a": value}) == state_hash({"a": other})


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_a_state_hash_sees_scales_and_zero_points() -> None:
    value = torch.tensor([[-1.0, 0.5], [0.25, 1.0]])
    scales, zeros = torch.tensor([0.1, 0.2]), torch.zeros(2, dtype=torch.long)
    states = [
        torch.quantize_per_tensor(value, 0.1, 0, torch.qint8),
        torch.quantize_per_tensor(value * 2, 0.2, 0, torch.qint8),
        torch.quantize_per_tensor(value, 0.1, 1, torch.qint8),
        torch.quantize_per_channel(value, scales, zeros, 0, torch.qint8),
        torch.quantize_per_channel(value, scales.flip(0), zeros, 0, torch.qint8),
    ]
    assert torch.equal(states[0].int_repr(), states[1].int_repr())
    assert len({state_hash({"a": (value, None)}) for value in states}) == len(states)


@pytest.mark.data
@pytest.mark.slow
def test_a_resnet20_trained_elsewhere_scores_what_its_authors_report() -> None:
    beside = Path(__file__).parents[3] / "shared" / "data"
    root = Path(os.environ.get("COMPD_DATA") or beside)
    file = root / "weights" / "resnet20-cifar10.safetensors"
    test = root / "cifar10" / "test-00000-of-00001.parquet"
    for needed in (file, test):
        if not needed.is_file():
            pytest.skip(f"no {needed}; set COMPD_DATA to the folder of the CIFAR-10 files")
    pytest.importorskip("pyarrow", reason="needs the extra compd[parquet]")
    weights = read_weights(file)
    assert weights.mean is not None
    assert weights.std is not None
    model = build_zoo_model("resnet20", classes=10, mean=weights.mean, std=weights.std)
    assert isinstance(model, Classifier)
    load_weights_(model.net, weights)
    images = load_data(str(test)).train  # a lone test file is all there is
    with torch.inference_mode():
        answers = predict(lambda x: model(to_input(x)), images.images).argmax(1)
    assert float((answers == images.labels).double().mean()) == 0.9173
