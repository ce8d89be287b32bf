"""A pair's runtimes by name."""

from __future__ import annotations

import pytest
import torch
from tiny import tiny_pair, tiny_splits

from compd.compress import Prune
from compd.compress.int8 import ENGINES
from compd.errors import CompdError
from compd.pair.runtimes import runtimes_of


def test_a_pair_s_own_models_have_names() -> None:
    pair, images = tiny_pair(), tiny_splits().seeds.images[:3]
    found = runtimes_of(pair, "original,deployed,shadow")
    assert list(found) == ["original", "deployed", "shadow"]
    for name, run in (
        ("original", pair.reference.run),
        ("deployed", pair.deployed.run),
        ("shadow", pair.shadow_runtime.run),
    ):
        assert torch.equal(found[name].run(images), run(images))
    assert runtimes_of(pair, None) == {}


@pytest.mark.parametrize(
    "engine", [one for one in ENGINES if one in torch.backends.quantized.supported_engines]
)
def test_an_engine_answers_nearly_as_the_pair_s_own(engine: str) -> None:
    pair, images = tiny_pair(), tiny_splits().seeds.images[:8]
    (runtime,) = runtimes_of(pair, engine).values()
    assert runtime.engine.startswith(engine)
    said = runtime.run(images)
    assert (said - pair.deployed.run(images)).abs().max() < 0.5 * said.std()


def test_what_a_pair_has_not_got_is_an_error() -> None:
    pair = tiny_pair()
    with pytest.raises(CompdError, match="leave its graph as it is"):
        runtimes_of(pair, "plain")
    with pytest.raises(CompdError, match="compd export --to onnx-qdq"):
        runtimes_of(pair, "saturating")
    with pytest.raises(CompdError, match="or a file"):
        runtimes_of(pair, "tensorrt")
    with pytest.raises(CompdError, match="int8"):
        runtimes_of(tiny_pair(Prune(amount=0.5, epochs=1)), "x86")
