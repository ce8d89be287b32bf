"""Networks of the zoo that no other test compresses: they quantise and prune as the others do."""

import pytest
import torch
from tiny import CPU, calibrated_shadow, tiny_splits
from torch import nn

from compd.compress import Prune, Ptq, make_shadow
from compd.models import build_zoo_model
from compd.models.inputs import to_input
from compd.runtimes import Int8Runtime

NAMES = ("lenet1", "nin")


def network(name: str) -> nn.Module:
    return build_zoo_model(name, classes=3, width=4, size=16)


@pytest.mark.parametrize("name", NAMES)
def test_the_shadow_rounds_where_the_kernels_do(name: str) -> None:
    images = tiny_splits().calibration.images
    shadow = calibrated_shadow(Ptq(), network(name), images)
    with torch.no_grad():
        simulated = shadow(to_input(images))
        exact = network(name)(to_input(images))
    step = float((simulated.max() - simulated.min()) / 255)
    real = Int8Runtime(shadow, "x86").run(images)
    assert float((real - simulated).abs().max()) <= 4 * step
    assert float((exact - simulated).abs().mean()) > 0  # it does round


@pytest.mark.parametrize("name", NAMES)
def test_three_quarters_of_each_convolution_are_pruned(name: str) -> None:
    shadow = make_shadow(Prune(epochs=1), network(name), tiny_splits(), device=CPU)
    shares = [
        float((m.weight == 0).float().mean()) for m in shadow.modules() if type(m) is nn.Conv2d
    ]
    assert shares == pytest.approx([0.75] * len(shares), abs=0.1)
