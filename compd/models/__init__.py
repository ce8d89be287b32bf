"""Networks: the zoo, weights files, and the user's own factories."""

from compd.models.factory import check_model, load_factory, model_hash, trace
from compd.models.normalise import Classifier, Normalise
from compd.models.weights import WeightsFile, load_weights_, read_weights, state_hash
from compd.models.zoo import ZOO, build_zoo_model, zoo_weights

__all__ = [
    "ZOO",
    "Classifier",
    "Normalise",
    "WeightsFile",
    "build_zoo_model",
    "check_model",
    "load_factory",
    "load_weights_",
    "model_hash",
    "read_weights",
    "state_hash",
    "trace",
    "zoo_weights",
]
