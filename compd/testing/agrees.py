"""The assertion: the real original and the real deployed model give one answer."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from hypothesis import currently_in_test_context, settings, target
from hypothesis.control import current_build_context
from hypothesis.errors import InvalidArgument
from torch import Tensor

from compd.corpus import Corpus, Record
from compd.errors import CompdError, SettingError
from compd.images import png_round_trip
from compd.logits import answers_of
from compd.pair import Pair
from compd.search.findings import Answer, Finding
from compd.search.judge import Judge, verdicts_of
from compd.testing.candidates import Candidate
from compd.testing.database import CorpusDatabase
from compd.wording import command

__all__ = ["assert_agrees"]

_MANY = 99  # assertions a test that Hypothesis is told of apart


def assert_agrees(
    pair: Pair,
    image: Candidate | Tensor,
    *,
    min_margin: float = 0.0,
    corpus: Path | str | None = None,
) -> None:
    """Fail if the deployed model leaves the original's answer on an image.

    Both real models are run on the image after it has been PNG bytes. It deviates if the original
    keeps its label for the seed (of an image alone: whatever it says) and the deployed model does
    not. In a Hypothesis test, the search is told how near that is: with *o* and *d* for the logit
    margins of the label in both models, the smaller of *o* and −*d*, which is half of what is
    left of the gap *o* − *d* when the distance |*o* + *d*| from the boundaries is taken off it. It
    is above 0 where, and only where, the image deviates.

    Args:
        pair: the models.
        image: what the strategies here draw, or a uint8 tensor (C, H, W).
        min_margin: deviations pass on which either model's p(top-1) − p(top-2) is below this, 0..1.
        corpus: folder of a corpus, new or not, to which the deviation is added; of a Hypothesis
            test, only the smallest. By default that of the test's
            :class:`~compd.testing.CorpusDatabase`, if it has one.

    Raises:
        AssertionError: if it deviates; with flip, margins, severity, distance and where to see it.
        CompdError: if the image is none that the pair takes.
    """
    __tracebackhide__ = True
    if not 0 <= min_margin <= 1:
        raise SettingError("min_margin in 0..1", min_margin=min_margin)
    candidate = image if isinstance(image, Candidate) else None
    shown = candidate.image if candidate else _checked(image)
    pair.check_input(shown[None], "an image")
    both = torch.stack([shown, candidate.seed if candidate else shown])
    both = png_round_trip(both)
    original, deployed = Judge(pair, overlap=False).logits(both)
    labels = answers_of(original).label[1:]  # of the seed
    judgement = verdicts_of(both[:1], original[:1], deployed[:1], labels, heads=pair.heads)
    if currently_in_test_context():
        _tell(
            min(
                float(judgement.original_logit_margin[0]),
                -float(judgement.deployed_logit_margin[0]),
            )
        )
    if not judgement.effective[0] or float(judgement.severity[0]) < min_margin:
        return
    said, shipped = (
        Answer.of(answers, 0, pair.classes) for answers in (judgement.original, judgement.deployed)
    )
    severity = float(judgement.severity[0])
    lines = [
        f"the deployed model deviates: {said.name} → {shipped.name}, severity {severity:.4f}",
        f"  original  {said.name} {said.confidence:.4f}, margin {said.margin:.4f}",
        f"  deployed  {shipped.name} {shipped.confidence:.4f}, margin {shipped.margin:.4f}",
    ]
    if candidate is None:
        lines.append(
            "  look      an image alone has no seed; draw it with compd.testing to keep it"
        )
    elif bool(answers_of(deployed[1:], labels).label != labels):
        lines.append(f"  distance  {candidate.distance}")
        lines.append("  natural   the models differ on the seed as it is: see seeds(agree=pair)")
    else:
        lines.append(f"  distance  {candidate.distance}")
        finding = Finding.of(
            judgement,
            0,
            seed_image=candidate.seed,
            seed_sha256=candidate.seed_sha256,
            seed_row=candidate.row,
            seed_label=int(labels[0]),
            true_label=candidate.true_label,
            classes=pair.classes,
            step=0,
        )
        lines.append(f"  look      {_kept(pair, candidate, finding, corpus)}")
    raise AssertionError("\n".join(lines))


def _checked(image: object) -> Tensor:
    if not isinstance(image, Tensor) or image.dtype != torch.uint8 or image.ndim != 3:
        what = f"{image.dtype} {tuple(image.shape)}" if isinstance(image, Tensor) else type(image)
        raise SettingError(
            f"expected an image that compd.testing draws, or a uint8 tensor (C, H, W), got {what}"
        )
    return image


def _tell(score: float) -> None:
    """Tell Hypothesis how near a deviation is, under a name that the test has not used yet."""
    if not math.isfinite(score):
        return
    for number in range(1, _MANY):
        try:
            target(score, label="compd" if number == 1 else f"compd {number}")
            return
        except InvalidArgument:
            continue


def _kept(pair: Pair, candidate: Candidate, finding: Finding, corpus: Path | str | None) -> str:
    """Store a finding where that is wanted; how to look at it."""
    final = True
    if currently_in_test_context():
        final = current_build_context().is_final  # what Hypothesis reports: the smallest
        database = settings.default.database if settings.default else None
        if corpus is None and isinstance(database, CorpusDatabase):
            corpus = database.corpus
    if corpus is None:
        return "assert_agrees(…, corpus=DIR) keeps it, and then says how"
    if final:
        try:
            record = _record(pair, candidate, finding)
            Corpus(corpus, create=True).add([(record, finding.image, finding.seed_image)])
        except CompdError as error:  # the deviation matters more
            return f"not stored: {error}"
    return command("corpus show", finding.sha256[:12], corpus=corpus)


def _record(pair: Pair, candidate: Candidate, finding: Finding) -> Record:
    return Record.of(
        finding,
        data=candidate.data,
        strategy={"name": "hypothesis", "how": candidate.how},
        eps=candidate.eps,
        norm=candidate.norm,
        random_seed=0,
        fingerprint=pair.fingerprint(batch=2),
        pair=pair.spec.made_of,
    )
