"""What native code prints without a setting against it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from compd.system.quiet import without_chatter

INFO = re.compile(rb"INFO: [^\n]*\n")
ASSETS = Path(__file__).parents[1] / "assets"


def test_only_the_chatter_is_dropped(capfd: pytest.CaptureFixture[str]) -> None:
    with without_chatter(INFO):
        os.write(2, b"a bar 1/2INFO: made a delegate\n a bar 2/2\n")
        os.write(2, b"ERROR: INFO is lost\n")
    os.write(2, b"INFO: later\n")
    assert capfd.readouterr().err == "a bar 1/2 a bar 2/2\nERROR: INFO is lost\nINFO: later\n"


def test_what_was_printed_before_an_error_comes_out(capfd: pytest.CaptureFixture[str]) -> None:
    @without_chatter(INFO)
    def fails() -> None:
        os.write(2, b"INFO: a\nwhy\n")
        raise ValueError("no model")

    with pytest.raises(ValueError, match="no model"):
        fails()
    assert capfd.readouterr().err == "why\n"


def test_litert_prints_nothing() -> None:
    pytest.importorskip("ai_edge_litert", reason="needs the extra compd[litert]")
    code = (
        "from pathlib import Path\nfrom compd.runtimes.formats import Overrides\n"
        "from compd.runtimes.litert import open_model\n"
        f"one = open_model(Path({str(ASSETS / 'float.tflite')!r}), Overrides(), None, True)\n"
        "import numpy as np\n"
        "for n in (1, 3): one.call(np.zeros((n, 16, 16, 3), np.float32))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
