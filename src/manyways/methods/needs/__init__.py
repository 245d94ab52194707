"""Needs of methods as values: `needs = (Input, Images, Classes)`."""

from manyways.methods.needs.acting import AnyEnvironment, FiniteEnvironment
from manyways.methods.needs.base import NEEDS, Need, column_with_role, lacking, unused
from manyways.methods.needs.groups import Client, Difficulty, Domain, Forget, Task, Weight
from manyways.methods.needs.inputs import Images, Input, Paired, SeveralInputs, Sound, lacking_inputs, lacking_values
from manyways.methods.needs.labels import (
    AnyLabel,
    Classes,
    ClassesOrStructure,
    Confidence,
    Consistency,
    Label,
    LabelColumn,
    NumbersOrClasses,
    PseudoLabels,
    RowLabel,
    SeveralLabels,
    Unlabelled,
)
from manyways.methods.needs.language import Answers, Examples, Judged, Pairs, PartlyAnswered, Prompts, Text

__all__ = [
    "NEEDS", "Answers", "AnyEnvironment", "AnyLabel", "Classes", "ClassesOrStructure", "Client", "Confidence",
    "Consistency", "Difficulty", "Domain", "Examples", "FiniteEnvironment", "Forget", "Images", "Input", "Judged",
    "Label", "LabelColumn", "Need", "NumbersOrClasses", "Paired", "Pairs", "PartlyAnswered", "Prompts",
    "PseudoLabels", "RowLabel",
    "SeveralInputs", "SeveralLabels", "Sound", "Task", "Text", "Unlabelled", "Weight", "column_with_role",
    "lacking", "lacking_inputs", "lacking_values", "unused",
]  # fmt: skip
