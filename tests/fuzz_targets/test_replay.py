"""Each fuzz target on its seeds, on what once broke it, and on a few mutations, without Atheris."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from compd.errors import CompdError
from targets import TARGETS, load, why_not
from targets.contract import Broken, only_compd_errors

REGRESSIONS = Path(__file__).parent.parent.parent / "fuzz" / "regressions"
FOUND = sorted(REGRESSIONS.glob("*/*"))
MUTATIONS = 40


@pytest.fixture(params=TARGETS)
def name(request: pytest.FixtureRequest) -> str:
    """A target that can run here."""
    target: str = request.param
    if missing := why_not(target):
        pytest.skip(missing)
    return target


def test_seeds_keep_the_contract(name: str) -> None:
    target = load(name)
    seeds = list(target.seeds())
    assert seeds
    for seed in seeds:
        assert isinstance(seed, bytes)
        assert len(seed) < 1 << 16
        target.entry(seed)
    assert len(list(target.seeds())) == len(seeds)


@pytest.mark.slow
def test_mutated_seeds_keep_the_contract(name: str) -> None:
    target = load(name)
    draw = random.Random(0)
    for seed in target.seeds():
        for _ in range(MUTATIONS):
            data = _mutated(target, seed, draw)
            assert len(data) <= 1 << 16
            target.entry(data)


def _mutated(target: object, seed: bytes, draw: random.Random) -> bytes:
    if hasattr(target, "mutate") and draw.random() < 0.75:
        made = target.mutate(seed, 1 << 16, draw.randrange(2**31))
        if made is not None:
            return bytes(made)
    changed = bytearray(seed)
    for _ in range(draw.choice((1, 2, 8))):
        at = draw.randrange(len(changed) + 1)
        changed[at : at + draw.randrange(3)] = draw.randbytes(draw.randrange(3))
    return bytes(changed)


@pytest.mark.parametrize("file", FOUND, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_what_once_broke_it_no_longer_does(file: Path) -> None:
    if missing := why_not(file.parent.name):
        pytest.skip(missing)
    load(file.parent.name).entry(file.read_bytes())


def test_the_contract_lets_only_one_printable_line_pass() -> None:
    with only_compd_errors():
        raise CompdError("expected a\nfile, got \x1b[31m" + "x" * 100_000)
    with pytest.raises(ValueError, match="y"), only_compd_errors():
        raise ValueError("y")
    hostile = CompdError("")
    hostile.args = ("\x1b",)
    with pytest.raises(Broken), only_compd_errors():
        raise hostile
