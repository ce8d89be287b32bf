import json

import pytest
import torch
from tiny import CPU, tiny_original, tiny_pair, tiny_spec, tiny_splits
from torch import nn

import compd.pair.build
from compd.compress import Prune, Ptq, Qat
from compd.errors import CompdError
from compd.models import build_zoo_model, model_hash, state_hash
from compd.models.inputs import to_input
from compd.models.tensors import tensors_to_bytes
from compd.pair import Pair
from compd.pair.build import build_pair
from compd.pair.evaluation import evaluate


@pytest.mark.parametrize("config", [Qat(), Ptq(), Prune(epochs=2)], ids=str)
def test_a_saved_pair_answers_the_same(config, tmp_path):
    pair = tiny_pair(config)
    pair.save(tmp_path / "pair")
    again = Pair.load(tmp_path / "pair", device="cpu")
    images = tiny_splits().seeds.images
    x = to_input(images)
    with torch.no_grad():
        assert torch.equal(pair.original(x), again.original(x))
        assert torch.equal(pair.shadow(x), again.shadow(x))
    assert torch.equal(pair.deployed.run(images), again.deployed.run(images))
    assert again.hashes == pair.hashes
    assert again.spec == pair.spec


def test_a_pair_can_be_loaded_on_another_engine(tmp_path):
    tiny_pair(engine="x86").save(tmp_path / "pair")
    assert Pair.load(tmp_path / "pair", engine="qnnpack").deployed.engine == "qnnpack"
    tiny_pair(Prune(epochs=2)).save(tmp_path / "pruned")
    with pytest.raises(CompdError, match="no engine"):
        Pair.load(tmp_path / "pruned", engine="x86")


def test_a_pair_is_not_written_over_other_files(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(CompdError, match="other files"):
        tiny_pair().save(tmp_path)


def test_files_of_two_pairs_do_not_mix(tmp_path):
    tiny_pair(Ptq()).save(tmp_path / "a")
    tiny_pair(Ptq(weight_bits=7)).save(tmp_path / "b")
    other = (tmp_path / "b" / "shadow.safetensors").read_bytes()
    (tmp_path / "a" / "shadow.safetensors").write_bytes(other)
    with pytest.raises(CompdError, match="do not belong together"):
        Pair.load(tmp_path / "a")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 2}', '{"format": 1}'])
def test_a_broken_description_is_one_line(text, tmp_path):
    (tmp_path / "pair.json").write_text(text)
    with pytest.raises(CompdError) as caught:
        Pair.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_fingerprint_holds_what_can_change_an_answer():
    fingerprint = tiny_pair().fingerprint(batch=64)
    assert {
        "compd",
        "torch",
        "numpy",
        "pillow",
        "python",
        "platform",
        "engine",
        "device",
        "threads",
        "cpu_capability",
        "cpu_flags",
        "batch",
        "original_sha256",
        "shadow_sha256",
        "deployed_sha256",
    } <= fingerprint.keys()
    json.dumps(fingerprint)
    assert fingerprint["deployed_sha256"] != tiny_pair(Qat()).hashes["deployed"]


def test_building_twice_loads_the_second_time(monkeypatch):
    kwargs = {"data": tiny_splits(), "compress": Ptq(), "device": "cpu"}
    first = build_pair("tiny:tiny_original", **kwargs)

    def fail(*args, **kwargs):
        raise AssertionError("compressed again")

    monkeypatch.setattr(compd.pair.build, "make_shadow", fail)
    second = build_pair("tiny:tiny_original", **kwargs)
    assert second.hashes == first.hashes


def test_a_broken_cache_entry_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPD_CACHE", str(tmp_path))
    kwargs = {"data": tiny_splits(), "compress": Ptq(), "device": "cpu"}
    first = build_pair("tiny:tiny_original", **kwargs)
    (path,) = (tmp_path / "shadows").glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:1000])
    assert build_pair("tiny:tiny_original", **kwargs).hashes == first.hashes


def test_evaluation_counts_what_it_says():
    pair, splits = tiny_pair(), tiny_splits()
    test = splits.test()
    seen = evaluate(pair, test)
    with torch.no_grad():
        original = tiny_original()(to_input(test.images)).argmax(1)
    deployed = pair.deployed.run(test.images).argmax(1)
    assert len(seen) == 200
    assert seen.accuracy(seen.original) == float((original == test.labels).double().mean())
    assert seen.accuracy(seen.deployed) == float((deployed == test.labels).double().mean())
    assert seen.natural_disagreement == float((original != deployed).double().mean())
    assert evaluate(pair, test).to_json() == seen.to_json()  # from the cache


def test_a_pair_refuses_images_of_another_size():
    with pytest.raises(CompdError, match="size=16"):
        tiny_pair().check_input(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "seeds")


def test_a_pair_works_on_copies():
    original, shadow = tiny_original(), tiny_original()
    original.train()
    Pair(tiny_spec(Prune()), original, shadow, device=CPU)
    assert original.training
    assert all(p.requires_grad for p in original.parameters())


def test_a_network_that_computes_something_else_has_another_hash():
    original = tiny_original()
    before = model_hash(original)
    original.net.bn1.eps = 0.5  # not in the state dict
    assert model_hash(original) != before
    assert model_hash(tiny_original()) == before


def test_a_hash_is_the_same_where_layers_do_not_name_their_bias(monkeypatch):
    """As BatchNorm does since PyTorch 2.13 alone."""
    nets = [tiny_original(), nn.Sequential(nn.BatchNorm2d(3, affine=False))]

    def hashes(named: str) -> list[str]:
        text = f"{{num_features}}, affine={{affine}}{named}, track_running_stats=True"
        monkeypatch.setattr(nn.BatchNorm2d, "extra_repr", lambda self: text.format_map(vars(self)))
        assert f"affine=False{named}, track".format(affine=False) in repr(nets[1])
        return [model_hash(net) for net in nets]

    assert hashes("") == hashes(", bias={affine}")


def test_weights_can_be_taken_from_a_pair(tmp_path):
    net = build_zoo_model("lenet5", classes=3, size=16, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    (tmp_path / "original.safetensors").write_bytes(tensors_to_bytes(net))
    kwargs = {"weights": tmp_path / "original.safetensors", "compress": Ptq(), "device": "cpu"}
    pair = build_pair("lenet5", data=tiny_splits(), **kwargs)
    assert state_hash(pair.original.state_dict()) == state_hash(net.state_dict())
    assert pair.spec.model.mean == pytest.approx((0.1, 0.2, 0.3))


def test_limits_of_the_instruction_set_are_in_the_fingerprint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    pair = tiny_pair()
    free = pair.fingerprint(batch=1)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    limited = pair.fingerprint(batch=1)
    assert {key for key in free if free[key] != limited[key]} == {"isa_limits"}
    assert limited["isa_limits"].endswith("ONEDNN_MAX_CPU_ISA=AVX2")
