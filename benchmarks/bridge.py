"""What a bridge costs: 10,000 images through the example program, and through the same file.

python benchmarks/bridge.py --threads 1

The file is a small network with random weights, so that little but the bridge takes time; both run
it by ONNX Runtime on one thread.
"""

from __future__ import annotations

import shlex
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path

import setup as bench
import torch
from torch import Tensor, nn

from compd.runtimes import FileRuntime, open_file

_EXAMPLE = Path(__file__).parent.parent / "docs" / "device_bridge.py"


def network(path: Path) -> None:
    """Write a network for 32 x 32 pixels and ten classes."""
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 8, 5, 4), nn.ReLU(), nn.Flatten(), nn.Linear(392, 10))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            nn.Sequential(*layers).eval(),
            (torch.zeros(1, 3, 32, 32),),
            str(path),
            dynamo=False,
            input_names=["image"],
            dynamic_axes={"image": {0: "n"}},
        )


def seconds(runtime: FileRuntime, images: Tensor, batch: int) -> float:
    """That all images take in batches."""
    begun = time.perf_counter()
    for part in torch.split(images, batch):
        runtime.run(part)
    return time.perf_counter() - begun


def main() -> None:
    options = bench.arguments(__doc__ or "", images=10_000, repeats=3)
    images = torch.randint(0, 256, (options.images, 3, 32, 32), dtype=torch.uint8)
    print(bench.machine(), flush=True)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.onnx"
        network(file)
        direct = open_file(file)
        bridge = open_file(f"cmd: {shlex.join([sys.executable, str(_EXAMPLE), str(file)])}")
        assert torch.equal(direct.run(images[:256]), bridge.run(images[:256]))
        for batch in (1, 32, 256):
            both = [
                [seconds(one, images, batch) for one in (direct, bridge)]
                for _ in range(options.repeats)
            ]
            here, there = (statistics.median(column) for column in zip(*both, strict=True))
            calls = -(-len(images) // batch)
            each = [f"{1000 * taken / calls:.3f}" for taken in (here, there, there - here)]
            rows.append((batch, *each, f"{1e6 * (there - here) / len(images):.1f}"))
    columns = ["batch", "file, ms a batch", "bridge, ms a batch", "more, ms a batch"]
    bench.show(f"{len(images)} images", [*columns, "more, µs an image"], rows)


if __name__ == "__main__":
    main()
