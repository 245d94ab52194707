"""Targets: kinds of labels, a file each, found by walking this folder and by the group `manyways.targets`."""

from manyways.data.targets._together import Targets, record
from manyways.data.targets.base import TARGETS, Outputs, Review, Target, check_labels, kind_of, predictions
from manyways.data.targets.classes import ClassTarget
from manyways.data.targets.number import NumberTarget
from manyways.data.targets.several import SeveralTarget
from manyways.data.targets.structured import Prediction, Structure, StructuredTarget

__all__ = [
    "TARGETS",
    "ClassTarget",
    "NumberTarget",
    "Outputs",
    "Prediction",
    "Review",
    "SeveralTarget",
    "Structure",
    "StructuredTarget",
    "Target",
    "Targets",
    "check_labels",
    "kind_of",
    "predictions",
    "record",
]  # fmt: skip
