"""Recommendations: how well a method fits data, and why; from them comparisons make their shortlist."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from manyways.data.phrases import count_of
from manyways.data.targets import TARGETS

if TYPE_CHECKING:
    from manyways.data.data import Data

OTHER = 50
"""The rank of a method that states none. Below 20 are those that users would pick without us, and the strongest."""
SEVERAL, ANY = "several", "any"
"""Of `Method.recommends`: data of several inputs, and of any kind that has no entry of its own."""
ENOUGH_TO_READ = 1000
"""Labels from which on a text network from scratch is worth trying: with 500 it was up to 21 points below a linear
model of the words."""


@dataclass(frozen=True)
class Profile:
    """Profile of data, by which methods say how well they fit.

    Attributes:
        modalities: The kinds of inputs: table, image, audio, text and others; one for each input.
        labels: Number of training rows with a label that may be seen.
        unlabelled: Number of the other training rows.
        classes: Number of classes of the label; 0 for another kind of label, or none.
        structured: True if the label is no class, number or set: a text, tags, boxes and others.
    """

    modalities: tuple[str, ...]
    labels: int
    unlabelled: int
    classes: int = 0
    structured: bool = False

    @property
    def kind(self) -> str:
        """The kind of the one input, or "several"; "none" for rows without inputs."""
        return (self.modalities[0] if len(self.modalities) == 1 else SEVERAL) if self.modalities else "none"

    @property
    def pretrained_helps(self) -> bool:
        """True if there are pretrained networks for such inputs, and labels few enough that one is worth most."""
        return bool({"text", "image"} & set(self.modalities)) and 0 < self.labels < ENOUGH_TO_READ

    def too_few_for_a_network(self) -> str | None:
        """The reason why a network of random weights is not worth its time here; None where it is."""
        if self.kind != "text" or not 0 < self.labels < ENOUGH_TO_READ:
            return None
        if self.structured:
            return (
                f"a network that must learn to read from {count_of(self.labels, 'label')} does so poorly; start from a "
                'pretrained one: backbone="FOLDER"'
            )
        return (
            f"a network that must learn to read from {count_of(self.labels, 'label')} is far below a linear model of "
            'the words, by up to 21 points; start from a pretrained one: backbone="FOLDER"'
        )


@dataclass(frozen=True)
class Recommendation:
    """A method's own word on how well it fits data.

    Attributes:
        reason: The reason, a phrase for people: "the strongest plain choice on tables of this size".
        rank: Place among the methods for a shortlist, the lowest first; None: it is left out, and `reason` says why.
    """

    reason: str
    rank: int | None = OTHER


def profile_of(data: "Data") -> Profile:
    """The profile of `data`."""
    training = data.training
    labels = int(training.labelled.sum()) if data.has("label") else 0
    one_class = data.has("label") and len(data.labels) == 1 and data.classification
    structured = {kind.column_kind for kind in TARGETS.all().values() if kind.structured}
    groups = dict.fromkeys(
        (column.of.modality, None if column.of.modality == "table" else column.name) for column in data.inputs
    )
    return Profile(
        modalities=tuple(modality for modality, _ in groups),
        labels=labels,
        unlabelled=len(training) - labels,
        classes=len(data.classes) if one_class else 0,
        structured=data.has("label") and len(data.labels) == 1 and data.label.kind in structured,
    )
