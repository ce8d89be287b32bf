"""The training loop: for originals, and for the fine-tuning inside compression."""

from compd.training.loop import TrainConfig, accuracy, fit_

__all__ = ["TrainConfig", "accuracy", "fit_"]
