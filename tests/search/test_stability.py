"""What a finding depends on: each kind planted in a runtime, and named."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
from tiny import tiny_pair, tiny_splits
from torch import Tensor

from compd.pair import Pair
from compd.runtimes import Runtime
from compd.search import Finding, Stability, StabilityCheck, Verdict, fuzz


@dataclass
class Planted(Runtime):
    """Leaves the original's answer only where ``leaves`` says so."""

    leaves: Callable[[int, int], bool]  # (size of the batch, number of the call) -> bool
    pair: Pair
    engine: str = "planted"
    content_hash: str = "0" * 64
    calls: list[int] = field(default_factory=list)

    def run(self, images: Tensor) -> Tensor:
        self.calls.append(len(images))
        run = (
            self.pair.deployed if self.leaves(len(images), len(self.calls)) else self.pair.reference
        )
        return run.run(images)


@pytest.fixture(scope="module")
def found() -> tuple[Pair, list[Finding]]:
    pair = tiny_pair(batch=64)
    findings = list(fuzz(pair, tiny_splits().seeds, limit=12))
    assert len(findings) >= 5
    return pair, findings


def planted(pair: Pair, leaves: Callable[[int, int], bool]) -> Pair:
    return pair.with_deployed(Planted(leaves, pair))


def test_real_findings_are_stable(found: tuple[Pair, list[Finding]]) -> None:
    pair, findings = found
    confirm = StabilityCheck(pair)
    done = confirm(findings)
    assert [f.stability for f in done] == [Stability.STABLE] * len(findings)
    assert confirm.counts == {"stable": len(findings)}
    assert [f.sha256 for f in done] == [f.sha256 for f in findings]


@pytest.mark.parametrize(
    ("leaves", "want"),
    [
        (lambda n, call: call != 2, Stability.FLAKY),
        (lambda n, call: n > 1, Stability.BATCH),
    ],
)
def test_planted_dependence(
    found: tuple[Pair, list[Finding]], leaves: Callable[[int, int], bool], want: Stability
) -> None:
    pair, findings = found
    done = StabilityCheck(planted(pair, leaves))(findings)
    assert {f.stability for f in done} == {want}


def test_what_is_known_to_be_steady_is_not_asked_image_by_image(
    found: tuple[Pair, list[Finding]],
) -> None:
    pair, findings = found

    class Steady(Planted):
        @property
        def steady(self) -> bool:
            return True

    for kind, alone in ((Steady, 0), (Planted, len(findings))):
        deployed = kind(lambda n, call: True, pair)
        done = StabilityCheck(pair.with_deployed(deployed))(findings)
        assert {f.stability for f in done} == {Stability.STABLE}
        assert deployed.calls.count(1) == alone


def test_dependence_on_an_engine(found: tuple[Pair, list[Finding]]) -> None:
    pair, findings = found
    others = {"same": pair.deployed, "exact": pair.reference}
    done = StabilityCheck(pair, others=others)(findings)
    assert {f.stability for f in done} == {Stability.ENGINE}
    assert {
        f.stability for f in StabilityCheck(pair, others={"same": pair.deployed})(findings)
    } == {Stability.STABLE}


def test_valid_findings_are_not_replayed(found: tuple[Pair, list[Finding]]) -> None:
    pair, _ = found
    findings = list(fuzz(pair, tiny_splits().seeds, limit=3, keep="valid"))
    done = StabilityCheck(pair)(findings)
    valid = [f for f in done if f.verdict is Verdict.VALID]
    assert valid
    assert all(f.stability is None for f in valid)
    assert torch.equal(done[0].image, findings[0].image)
