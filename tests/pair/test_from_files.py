"""Two files and a folder: a pair whose gradients come from the files themselves."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from tiny import CLASSES, CPU, tiny_pair, tiny_splits
from tiny_files import MEAN, STD, onnx_files, photos

from compd.corpus import Corpus, collect, verify
from compd.models.inputs import predict
from compd.pair.from_files import deployed_as, pair_of_files
from compd.runtimes import FloatRuntime, Overrides, open_file
from compd.runtimes.converted import converted_file, quantised_here, saturating
from compd.search import Stability, StabilityCheck, fuzz

Refuses = Callable[..., Any]

BARE = Overrides(mean=(MEAN,), std=(STD,))


def without_gradient(file: Path, folder: Path) -> Path:
    """The same file with its last operator behind one that compd cannot differentiate."""
    model = onnx.load(file)
    last = model.graph.output[0].name
    model.graph.node.append(onnx.helper.make_node("Det", ["square"], ["det"]))
    model.graph.initializer.append(
        onnx.numpy_helper.from_array(np.ones((1, 1), np.float32), "square")
    )
    model.graph.node.append(onnx.helper.make_node("Mul", [last, "det"], ["out"]))
    model.graph.output[0].name = "out"
    path = folder / f"odd-{file.name}"
    onnx.save(model, path)
    return path


def test_both_converted() -> None:
    pair, splits = pair_of_files(*onnx_files(), data=str(photos()))
    assert pair.classes == tuple(f"{i}-{name}" for i, name in enumerate(CLASSES))
    assert pair.notes == ()
    images = splits.seeds.images
    for module, runtime in ((pair.original, pair.reference), (pair.shadow, pair.deployed)):
        here = predict(FloatRuntime(module, torch.device("cpu")).run, images)
        there = predict(runtime.run, images)
        assert float((here.argmax(1) != there.argmax(1)).double().mean()) < 0.03
        assert float((here - there).abs().median()) < 0.05
    findings = list(fuzz(pair, splits.seeds, limit=20))
    assert len({f.seed_row for f in findings}) >= 16
    reference, deployed = (open_file(file) for file in onnx_files())
    for finding in findings:  # proved on the files, opened anew
        said = reference.run(finding.image[None]).argmax(1)
        shipped = deployed.run(finding.image[None]).argmax(1)
        assert int(said) == finding.seed_label != int(shipped)


def test_the_original_and_the_pair_made_of_it_agree() -> None:
    """The file that was exported answers as the module does."""
    original = open_file(onnx_files()[0])
    images = tiny_splits().seeds.images
    torch.testing.assert_close(
        original.run(images), tiny_pair().reference.run(images), atol=1e-4, rtol=1e-3
    )


def test_normalisation_outside_of_the_files() -> None:
    whole, bare = (
        pair_of_files(*onnx_files(normalised=n), data=str(photos()), overrides=overrides)[0]
        for n, overrides in ((True, Overrides()), (False, BARE))
    )
    images = tiny_splits().seeds.images
    torch.testing.assert_close(
        whole.reference.run(images), bare.reference.run(images), atol=1e-3, rtol=1e-3
    )
    here = predict(FloatRuntime(bare.original, torch.device("cpu")).run, images)
    torch.testing.assert_close(here, bare.reference.run(images), atol=1e-3, rtol=1e-3)


def test_a_deployed_file_without_gradients(tmp_path: Path) -> None:
    original, deployed = onnx_files()
    odd = without_gradient(deployed, tmp_path)
    pair, splits = pair_of_files(original, odd, data=str(photos()))
    assert "no gradient of the deployed file" in pair.notes[0]
    assert "'Det'" in pair.notes[0]
    assert "is its shadow (KL 0.0" in pair.notes[1]
    assert pair.spec.to_json()["compress"]["shadow"] in ("quantised", "original")
    found = {f.seed_row for f in fuzz(pair, splits.seeds, limit=20)}
    assert len(found) >= 6


def test_an_original_without_gradients(tmp_path: Path) -> None:
    original, deployed = onnx_files()
    odd = without_gradient(original, tmp_path)
    pair, splits = pair_of_files(odd, deployed, data=str(photos()))
    assert not pair.has_shadow
    campaign = fuzz(pair, splits.seeds, limit=4)
    found = {f.seed_row for f in campaign}
    assert any("blackbox instead of boundary" in note for note in campaign.notes)
    assert len(found) >= 2


def test_unlabelled_images() -> None:
    pair, splits = pair_of_files(*onnx_files(), data=str(photos(flat=True)))
    assert pair.classes == ("0", "1", "2")
    (finding, *_) = fuzz(pair, splits.seeds, limit=3)
    assert finding.true_label is None


def test_into_a_corpus_and_back(tmp_path: Path) -> None:
    pair, splits = pair_of_files(*onnx_files(), data=str(photos()))
    corpus = Corpus(tmp_path / "corpus", create=True)
    pair.batch = 64
    stability = StabilityCheck(pair)
    count = sum(collect(fuzz(pair, splits.seeds, limit=10), corpus, stability=stability))
    assert count == sum(stability.counts.values()) >= 9
    records = list(Corpus(tmp_path / "corpus"))
    assert all(isinstance(record.stability, Stability) for record in records)
    assert records[0].fingerprint["deployed_optimised"] is True
    assert "onnxruntime" in str(records[0].fingerprint["engine"])
    assert records[0].pair["compress"]["kind"] == "given"
    again, _ = pair_of_files(*onnx_files(), data=str(photos()))
    assert all(result.holds for result in verify(corpus, again))


def test_recorded_outputs_replay_a_corpus(tmp_path: Path) -> None:
    pair, splits = pair_of_files(*onnx_files(), data=str(photos()))
    corpus = Corpus(tmp_path / "corpus", create=True)
    sum(collect(fuzz(pair, splits.seeds, limit=5), corpus))
    records = list(corpus)
    outputs = tmp_path / "outputs.jsonl"
    with outputs.open("w") as file:
        for record in records:
            logits = pair.deployed.run(corpus.image(record)[None])[0].tolist()
            file.write(json.dumps({"sha256": record.sha256, "logits": logits}) + "\n")
    recorded, _ = pair_of_files(onnx_files()[0], outputs, data=str(photos()))
    assert not recorded.has_shadow
    assert any("replayed, and not searched" in note for note in recorded.notes)
    assert all(result.holds for result in verify(corpus, recorded))


def test_a_pair_of_ours_with_a_file_as_deployed() -> None:
    pair = tiny_pair()
    other = deployed_as(pair, onnx_files()[1])
    assert other.spec.engine == "onnxruntime-cpu"
    assert other.hashes["original"] == pair.hashes["original"]
    assert other.hashes["deployed"] != pair.hashes["deployed"]
    found = {f.seed_row for f in fuzz(other, tiny_splits().seeds, limit=20)}
    assert len(found) >= 16


def test_a_pair_with_a_file_is_not_saved(tmp_path: Path, refuses: Refuses) -> None:
    with refuses("--deployed", "whole.int8.onnx"):
        deployed_as(tiny_pair(), onnx_files()[1]).save(tmp_path / "pair")


def test_a_file_that_moved_is_the_same(tmp_path: Path) -> None:
    copy = shutil.copy(onnx_files()[1], tmp_path / "renamed.onnx")
    assert open_file(copy).content_hash == open_file(onnx_files()[1]).content_hash


def test_files_of_other_images(tmp_path: Path, refuses: Refuses) -> None:
    model = onnx.load(onnx_files()[1])
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 8
    model.graph.input[0].type.tensor_type.shape.dim[3].dim_value = 8
    onnx.save(model, tmp_path / "small.onnx")
    with refuses("3 x 16 x 16", "3 x 8 x 8", "small.onnx"):
        pair_of_files(onnx_files()[0], tmp_path / "small.onnx", data=str(photos()))


def test_plain_and_saturating() -> None:
    deployed = open_file(onnx_files()[1])
    images = tiny_splits().seeds.images
    plain = deployed.plain()
    assert plain.engine == "onnxruntime-cpu-plain"
    assert not plain.facts["optimised"]
    torch.testing.assert_close(plain.run(images), deployed.run(images), atol=0.2, rtol=0.1)
    exact = predict(FloatRuntime(converted_file(deployed), torch.device("cpu")).run, images)
    emulated = predict(saturating(deployed).run, images)
    assert emulated.shape == exact.shape
    assert not torch.equal(emulated, exact)


def test_recorded_files_cannot_saturate(tmp_path: Path, refuses: Refuses) -> None:
    (tmp_path / "o.jsonl").write_text('{"sha256": "' + "0" * 64 + '", "logits": [1, 2, 3]}')
    with refuses("ONNX", "o.jsonl"):
        saturating(open_file(tmp_path / "o.jsonl"))
    with refuses("sums can saturate", "whole.onnx"):
        saturating(open_file(onnx_files()[0]))


@pytest.mark.parametrize("images", [1, 7, 8])
def test_a_file_with_a_fixed_batch(tmp_path: Path, images: int) -> None:
    model = onnx.load(onnx_files()[0])
    model.graph.input[0].type.tensor_type.shape.dim[0].ClearField("dim_param")
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4
    model.graph.output[0].type.tensor_type.shape.dim[0].ClearField("dim_param")
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 4
    onnx.save(model, tmp_path / "four.onnx")
    fixed = open_file(tmp_path / "four.onnx")
    assert fixed.format.batch == 4
    x = tiny_splits().seeds.images[:images]
    torch.testing.assert_close(
        fixed.run(x), open_file(onnx_files()[0]).run(x), atol=1e-4, rtol=1e-3
    )


def test_an_original_on_a_grid_of_our_own() -> None:
    """The stand-in of a file without gradients: near the original, off it, differentiable."""
    runtime = open_file(onnx_files()[0])
    splits = tiny_splits()
    module = converted_file(runtime)
    before = predict(FloatRuntime(module, CPU).run, splits.seeds.images)
    grid = quantised_here(module, splits.calibration.images)
    said = predict(FloatRuntime(grid, CPU).run, splits.seeds.images)
    torch.testing.assert_close(
        predict(FloatRuntime(module, CPU).run, splits.seeds.images), before
    )  # not changed
    assert not torch.equal(said, before)
    assert float((said.argmax(1) != before.argmax(1)).double().mean()) < 0.05
    x = (splits.seeds.images[:4].float() / 255).requires_grad_()
    grid(x).square().sum().backward()
    assert x.grad is not None
    assert float(x.grad.abs().amax((1, 2, 3)).min()) > 0
