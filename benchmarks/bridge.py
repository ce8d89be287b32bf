"""What a bridge costs: 10,000 images through the example program, and through the same file.

python benchmarks/bridge.py --threads 1

The file is a small network with random weights, so that little but the bridge takes time; both run
it by ONNX Runtime on one thread, and of the repeats the fastest counts. compd has its C library
keep freed memory; the program is measured as it is, and started so that it does the same.
"""

from __future__ import annotations

import shlex
import sys
import tempfile
import time
import warnings
from pathlib import Path

import setup as bench
import torch
from torch import Tensor, nn

from compd.runtimes import FileRuntime, open_file

_KEEPING = ("env", "MALLOC_MMAP_THRESHOLD_=1073741824", "MALLOC_TRIM_THRESHOLD_=1073741824")
_KEEPING += ("MALLOC_TOP_PAD_=268435456",)
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
    options = bench.arguments(__doc__ or "", images=10_000, repeats=7)
    images = torch.randint(0, 256, (options.images, 3, 32, 32), dtype=torch.uint8)
    print(bench.machine(), flush=True)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.onnx"
        network(file)
        words = [sys.executable, str(_EXAMPLE), str(file)]
        direct = open_file(file)
        bridges = [
            open_file(f"cmd: {shlex.join(command)}") for command in (words, [*_KEEPING, *words])
        ]
        for one in bridges:
            assert torch.equal(direct.run(images[:256]), one.run(images[:256]))
        for batch in (1, 32, 256):
            taken = [
                [seconds(one, images, batch) for one in (direct, *bridges)]
                for _ in range(options.repeats)
            ]
            own, *others = (min(column) for column in zip(*taken, strict=True))
            calls = -(-len(images) // batch) / 1000
            more = [f"{(one - own) / calls:.2f}" for one in others]
            rows.append((batch, *(f"{one / calls:.2f}" for one in (own, *others)), *more))
    columns = ["batch", "file, ms a batch", "bridge", "bridge, memory kept"]
    bench.show(f"{len(images)} images", [*columns, "more", "more, memory kept"], rows)


if __name__ == "__main__":
    main()
