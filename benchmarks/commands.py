"""Whole commands as a user types them: wall time, system time and memory, alone and beside others.

Each command runs in a process of its own, in a new folder with an empty cache: alone, and beside
one process that does nothing but take a core. ``--before`` names a checkout of an earlier version,
which then takes turns with this one.

    git worktree add ../before 3f5020a
    python benchmarks/commands.py --before ../before --runs 3

*search* is the time of the search alone, as the command prints it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import setup as bench

HERE = Path(__file__).resolve().parent.parent
DIGITS = "fuzz --model resnet18"
RESNET20 = "fuzz --pair {pair} --data {cifar} --eps 4 --seeds 400"
PHOTOS = (
    "fuzz --original {photos}/efficientnet-lite0.onnx"
    " --deployed {photos}/efficientnet-lite0-int8.onnx --data {photos} --eps 4 --seeds 60"
)
COMMANDS = {"digits": DIGITS, "resnet20": RESNET20, "photos": PHOTOS}


@dataclass(frozen=True)
class Run:
    """One command, from start to end."""

    wall: float  # seconds
    search: float | None  # seconds; None if it was cut off
    user: float  # seconds of processor time
    system: float
    peak: float  # MiB


def run(code: Path, command: list[str], limit: float) -> Run:
    """Run a command of the version in ``code``; killed after ``limit`` seconds."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "PYTHONPATH": str(code),
            "COMPD_CACHE": str(Path(folder) / "cache"),
        }
        report = Path(folder) / "report.json"
        begun = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "compd", *command, "--json", str(report)],
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        while True:
            pid, status, used = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.perf_counter() - begun > limit:
                os.killpg(process.pid, signal.SIGKILL)
            time.sleep(0.02)
        wall = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        search = json.loads(report.read_text())["seconds"] if report.exists() else None
        if process.returncode not in (0, -signal.SIGKILL):
            raise SystemExit((process.stderr.read() if process.stderr else b"").decode()[-400:])
    return Run(wall, search, used.ru_utime, used.ru_stime, used.ru_maxrss / 1024)


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """Processes that do nothing but take a core each."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, help="checkout of an earlier version")
    parser.add_argument("--commands", default="digits,resnet20,photos")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--busy", type=int, default=1, help="neighbours in the busy runs")
    parser.add_argument("--limit", type=float, default=400, help="seconds, then it is killed")
    parser.add_argument("--more", default="", help="options for all commands: '--threads 1'")
    parser.add_argument("--cifar", type=Path, default=HERE.parent / "shared/data/cifar10")
    parser.add_argument("--photos", type=Path, default=HERE.parent / "shared/data/imagenet-sample")
    return parser.parse_args()


def main() -> None:
    options = parse()
    codes = {"now": HERE}
    if options.before is not None:
        codes = {"before": options.before.resolve(), **codes}
    names = options.commands.split(",")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        pair = Path(folder) / "pair"
        if "resnet20" in names:
            weights = options.cifar.parent / "weights/resnet20-cifar10.safetensors"
            words = f"compress --model resnet20 --weights {weights} --data {options.cifar}"
            words += f" --engine fbgemm --compress ptq --out {pair}"
            subprocess.run(
                [sys.executable, "-m", "compd", *words.split()],
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        places = {"pair": pair, "cifar": options.cifar, "photos": options.photos}
        for name in names:
            command = f"{COMMANDS[name].format(**places)} {options.more}".split()
            kinds = [(count, code) for count in sorted({0, options.busy}) for code in codes]
            runs: dict[tuple[int, str], list[Run]] = {kind: [] for kind in kinds}
            for _ in range(options.runs):
                for count, code in kinds:
                    with neighbours(count):
                        runs[count, code].append(run(codes[code], command, options.limit))
                    print(name, code, f"beside {count}", runs[count, code][-1], flush=True)
            rows += [
                row(name, kind, found, runs, next(iter(codes))) for kind, found in runs.items()
            ]
    print(bench.machine())
    bench.show("Whole commands, medians", COLUMNS, rows)


COLUMNS = (
    "command",
    "version",
    "beside",
    "wall, s",
    "lowest to highest",
    "to the first version alone",
    "search, s",
    "wall : search",
    "system : processor time",
    "peak, MiB",
)


def row(
    name: str,
    kind: tuple[int, str],
    found: list[Run],
    runs: dict[tuple[int, str], list[Run]],
    first: str,
) -> tuple[object, ...]:
    count, code = kind
    walls = sorted(one.wall for one in found)
    alone = median(one.wall for one in runs[0, first])
    searches = [one.search for one in found if one.search is not None]
    whole = len(searches) == len(found)
    ratio = median(one.wall / one.search for one in found if one.search) if whole else None
    return (
        name,
        code,
        "nothing" if not count else f"{count} busy process",
        f"{'' if whole else '> '}{median(walls):.1f}",
        f"{walls[0]:.1f} to {walls[-1]:.1f}",
        f"{median(walls) / alone:.2f}",
        f"{median(searches):.1f}" if whole else "",
        "" if ratio is None else f"{ratio:.2f}",
        f"{median(one.system / (one.system + one.user) for one in found):.1%}",
        f"{median(one.peak for one in found):.0f}",
    )


if __name__ == "__main__":
    main()
