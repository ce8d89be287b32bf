"""How a pair does on clean images: accuracies, and where its models differ untouched."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import torch.nn.functional as F
from torch import Tensor

from compd.data import Splits
from compd.models.inputs import predict
from compd.pair import Pair
from compd.progress import Progress, Report, silent
from compd.runtimes import FloatRuntime
from compd.storage import cache_dir, config_hash, disk_errors, write_atomic

__all__ = ["Agreement", "divergence", "divergences", "evaluate", "strays"]


@dataclass(frozen=True)
class Agreement:
    """How the three models of a pair do on clean test rows (seeds and held-out)."""

    images: int
    rows: str
    original_accuracy: float | None  # None if the images are not labelled
    shadow_accuracy: float | None  # None if there is no shadow, either
    deployed_accuracy: float | None
    natural_disagreement: float  # original against deployed; ties agree
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


def strays(logits: Tensor, labels: Tensor) -> Tensor:
    """Where a model's answer is another than the given labels; a tie with the label is none.

    Args:
        logits: float (N, K).
        labels: int64 (N,).

    Returns:
        bool (N,).
    """
    return logits.gather(1, labels[:, None])[:, 0] < logits.amax(1)


def evaluate(pair: Pair, splits: Splits, *, batch: int = 256, report: Report = silent) -> Agreement:
    """Measure a pair on all test rows; cached by the pair, the data and this machine.

    Args:
        pair: the pair.
        splits: of a data set with the pair's classes and image size.
        batch: images a call.
        report: told of progress.

    Raises:
        CompdError: if the images do not fit the pair.
    """
    key = config_hash({"data": splits.dataset.identity, **pair.fingerprint(batch=batch)})
    path = cache_dir() / "evaluations" / f"{key}.json"
    try:
        return Agreement(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        pass  # not there, or another version's: measure
    test = splits.test()
    pair.check_input(test.images, "test images")
    answers = []
    runs = [pair.reference.run, pair.deployed.run]
    if pair.has_shadow:
        runs.append(FloatRuntime(pair.shadow, pair.device, "shadow").run)
    for i, run in enumerate(runs):
        report(Progress("measuring accuracy", i, len(runs), {"images": str(len(test))}))
        answers.append(predict(run, test.images, batch=batch))
    report(Progress("measuring accuracy", len(runs), len(runs)))
    original, deployed, *shadows = (logits.argmax(1) for logits in answers)
    shadow = shadows[0] if shadows else None

    def share(hits: Tensor) -> float:
        return float(hits.double().mean())

    def accuracy(labels: Tensor | None) -> float | None:
        return share(labels == test.labels) if labels is not None and test.labelled else None

    result = Agreement(
        images=len(test),
        rows=test.rows,
        original_accuracy=accuracy(original),
        shadow_accuracy=accuracy(shadow),
        deployed_accuracy=accuracy(deployed),
        natural_disagreement=share(strays(answers[1], original)),
        shadow_deployed_disagreement=(
            None if shadow is None else share(strays(answers[1], shadow))
        ),
    )
    with disk_errors(path):
        write_atomic(path, json.dumps(asdict(result)).encode(), sync=False)
    return result
