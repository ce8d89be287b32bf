"""What a gate needs before it can run: the pair, its data if they are asked for, and a folder."""

from __future__ import annotations

from pathlib import Path

from compd.control import QUIET, Control
from compd.corpus import Corpus
from compd.corpus.opening import open_pair_of, open_with_data
from compd.data import Splits
from compd.gating.policy import Policy
from compd.pair import Pair
from compd.pair.requests import PairFolder, PairRequest

__all__ = ["new_findings", "open_gated"]


def open_gated(
    corpus: Corpus, request: PairRequest, policy: Policy, control: Control = QUIET
) -> tuple[Pair, Splits | None]:
    """The pair that is to pass, and its data; None where the policy asks for no images."""
    if not policy.asks_for_images and isinstance(request, PairFolder):
        return open_pair_of(corpus, request, changed=True, control=control), None
    return open_with_data(corpus, request, changed=True, control=control)


def new_findings(pair: Pair, policy: Policy, out: Path | None) -> Corpus | None:
    """Where new findings of the search go, made with the first; None if there is no search."""
    if policy.only_replay:
        return None
    name = f"{pair.spec.label}-{pair.hashes['deployed'][:6]}"
    return Corpus(out or Path("compd-new") / name, create=True)
