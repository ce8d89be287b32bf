"""How a pair does on clean images: accuracies, and where its models differ untouched."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import torch.nn.functional as F
from torch import Tensor

from compd.data import Splits
from compd.files.storage import cache_dir, config_hash, disk_errors, write_atomic
from compd.pair.pair import Pair
from compd.progress import Progress, Report, silent

__all__ = ["SHADOW_ROWS", "Agreement", "disagrees", "divergence", "divergences", "evaluate"]

# On which a shadow is compared in a look that is bounded: it takes several times as long as the
# model that it stands in for.
SHADOW_ROWS = 64


@dataclass(frozen=True)
class Agreement:
    """How the three models of a pair do on clean test rows (seeds and held-out)."""

    images: int
    rows: str
    original_accuracy: float | None  # None if the images are not labelled
    shadow_accuracy: float | None  # None if there is no shadow, either
    deployed_accuracy: float | None
    natural_disagreement: float  # original against deployed; ties agree
    shadow_images: int  # of these, the first ones, that the shadow was run on
    shadow_deployed_disagreement: float | None


def divergence(logits: Tensor, answers: Tensor) -> Tensor:
    """Mean Kullback-Leibler divergence of a model from the original, in nats; differentiable.

    Args:
        logits: of the model, float (N, K).
        answers: the original's logits, float (N, K).
    """
    return divergences(logits, answers).mean()


def divergences(logits: Tensor, answers: Tensor) -> Tensor:
    """The same for each image: float (N,)."""
    apart = F.kl_div(
        logits.log_softmax(1), answers.log_softmax(1), log_target=True, reduction="none"
    )
    return apart.sum(1)


def disagrees(logits: Tensor, labels: Tensor) -> Tensor:
    """Where a model's answer is another than the given labels; a tie with the label is none.

    Args:
        logits: float (N, K).
        labels: int64 (N,).

    Returns:
        bool (N,).
    """
    return logits.gather(1, labels[:, None])[:, 0] < logits.amax(1)


def evaluate(
    pair: Pair, splits: Splits, *, limit: int | None = None, report: Report = silent
) -> Agreement:
    """Measure a pair on test rows; kept on disk by the pair, the data and this machine.

    Args:
        pair: the pair.
        splits: of a data set with the pair's classes and image size.
        limit: rows to measure, the first ones, and :data:`SHADOW_ROWS` of them for the shadow; all
            if None.
        report: told of progress.

    Raises:
        CompdError: if the images do not fit the pair.
    """
    key = config_hash(
        {"data": splits.dataset.identity, "limit": limit, **pair.fingerprint(batch=0)}
    )
    path = cache_dir() / "evaluations" / f"{key}.json"
    try:
        return Agreement(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        pass  # not there, or another version's: measure
    if limit is not None and limit <= len(splits.seeds):
        test = splits.seeds.first(limit)  # where the test rows begin; without a copy of them all
    else:
        test = splits.test() if limit is None else splits.test().first(limit)
    pair.check_input(test.images, "test images")
    answers = []
    runs = [pair.reference, pair.deployed]
    if pair.has_shadow:
        runs.append(pair.shadow_runtime)
    for i, run in enumerate(runs):
        report(Progress("measuring accuracy", i, len(runs), {"images": str(len(test))}))
        rows = len(test) if limit is None or i < 2 else SHADOW_ROWS
        answers.append(pair.answers.of(run, test.images[:rows]))
    report(Progress("measuring accuracy", len(runs), len(runs)))
    original, deployed, *shadows = (logits.argmax(1) for logits in answers)
    shadow = shadows[0] if shadows else None

    def share(hits: Tensor) -> float:
        return float(hits.double().mean())

    def accuracy(labels: Tensor | None) -> float | None:
        if labels is None or not test.labelled:
            return None
        return share(labels == test.labels[: len(labels)])

    result = Agreement(
        images=len(test),
        rows=test.rows,
        original_accuracy=accuracy(original),
        shadow_accuracy=accuracy(shadow),
        deployed_accuracy=accuracy(deployed),
        natural_disagreement=share(disagrees(answers[1], original)),
        shadow_images=0 if shadow is None else len(shadow),
        shadow_deployed_disagreement=(
            None if shadow is None else share(disagrees(answers[1][: len(shadow)], shadow))
        ),
    )
    with disk_errors(path):
        write_atomic(path, json.dumps(asdict(result)).encode(), sync=False)
    return result
