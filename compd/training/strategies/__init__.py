"""The table of training strategies: adding one is one file and one line here.

Quantisation-aware training is not among them: what it trains is the shadow of a compression
(:class:`compd.compress.Qat`). The same budget as its own is what :func:`compd.compress.fine_tuning`
makes of its configuration.
"""

from compd.registry import Registry
from compd.training.strategies.adversarial import ADVERSARIAL, Adversarial
from compd.training.strategies.base import Batch, Loss, TrainingStrategy
from compd.training.strategies.mixup import MIXUP, Mixup
from compd.training.strategies.smoothing import SMOOTHING, Smoothing
from compd.training.strategies.standard import STANDARD, Standard

__all__ = [
    "TRAINING_STRATEGIES",
    "Adversarial",
    "Batch",
    "Loss",
    "Mixup",
    "Smoothing",
    "Standard",
    "TrainingStrategy",
]

TRAINING_STRATEGIES: Registry[TrainingStrategy] = Registry(
    "strategy",
    {
        "standard": STANDARD,
        "adversarial": ADVERSARIAL,
        "mixup": MIXUP,
        "smoothing": SMOOTHING,
    },
    kind=TrainingStrategy,
    group="compd.training_strategies",
)
