"""Networks as PyTorch exports them: the file computes what the network does."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from compd.models import build_zoo_model
from compd.onnx import describe, read_onnx, to_module


class Mobile(nn.Module):
    """Depthwise convolutions, BatchNorm, hard-swish, squeeze-and-excite, channel shuffle."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8))
        self.deep = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1, groups=8), nn.BatchNorm2d(8), nn.ReLU6())
        self.squeeze, self.excite = nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1)
        self.linear = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.hardswish(self.stem(x))
        y = self.deep(x)
        gate = self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(y, 1))))
        y = x + y * F.hardsigmoid(gate)
        n, c, h, w = y.shape
        y = y.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        return self.linear(torch.flatten(F.adaptive_avg_pool2d(y, 1), 1))


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("name", ["mobile", "resnet20"])
def test_an_exported_network(name: str, dynamic: bool, tmp_path: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = Mobile() if name == "mobile" else build_zoo_model(name, classes=5)
        x = torch.rand(3, 3, 32, 32)
        for part in net.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_var.uniform_(0.5, 1.5)
                part.running_mean.normal_(0, 0.2)
    net.eval()
    path = tmp_path / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the other exporter needs a package of its own
        torch.onnx.export(
            net,
            (x[:1],),
            str(path),
            dynamo=False,
            input_names=["x"],
            dynamic_axes={"x": {0: "N"}} if dynamic else None,
        )
    model = read_onnx(path)
    assert describe(model).input.shape == (None if dynamic else 1, 3, 32, 32)
    module = to_module(model)
    with torch.no_grad():
        torch.testing.assert_close(module(x), net(x), atol=1e-4, rtol=1e-4)
        assert torch.equal(fx.symbolic_trace(module)(x), module(x))
