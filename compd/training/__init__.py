"""The training loop: for originals, and for the fine-tuning inside compression."""

from compd.training.loop import TrainConfig, accuracy, fit_
from compd.training.strategies import (
    TRAINING_STRATEGIES,
    Adversarial,
    Batch,
    Loss,
    Mixup,
    Smoothing,
    Standard,
    TrainingStrategy,
)

__all__ = [
    "TRAINING_STRATEGIES",
    "Adversarial",
    "Batch",
    "Loss",
    "Mixup",
    "Smoothing",
    "Standard",
    "TrainConfig",
    "TrainingStrategy",
    "accuracy",
    "fit_",
]
