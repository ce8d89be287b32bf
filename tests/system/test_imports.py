"""What takes a second to import stays out of processes that do not need it."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from packaging.version import Version
from tiny_files import onnx_files

ROOT = Path(__file__).parents[2]
RUN = """
import sys
from compd.data import load_data
from compd.pair import Pair
from compd.runtimes import open_file
from compd.runtimes.converted import converted_file

pair, *files = sys.argv[1:]
for file in files:
    converted_file(open_file(file))
Pair.load(pair)
load_data("digits")
print([name for name in ("torch._dynamo", "sklearn", "scipy.stats") if name in sys.modules])
"""


@pytest.mark.skipif(
    Version(torch.__version__) < Version("2.13"),
    reason="PyTorch before 2.13 imports its compiler where a network is quantised",
)
def test_pairs_conversions_and_digits_import_no_compiler_and_no_statistics() -> None:
    arguments = [ROOT / "corpora/pairs/digits-int8", *onnx_files()]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
