"""Methods over frozen features, which train no network."""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from manyways.data.data import Data
from manyways.data.encoders.table import TableEncoder
from manyways.data.encoding import InputEncoding
from manyways.methods.features import AUTO, Features, checkpoints_of, start_features
from manyways.methods.method import Method
from manyways.models.backbones.raw import RAW_KINDS
from manyways.models.model import Model
from manyways.training.run import Run


def without_raw_features(data: Data, backbone: str) -> str | None:
    """The first input of `data` that neither has raw features nor a checkpoint in `backbone`; None if all do."""
    read = checkpoints_of(backbone, data)
    names = (column.name for column in data.inputs if column.of.modality not in RAW_KINDS)
    return next((name for name in names if name not in read), None)


@dataclass(frozen=True, kw_only=True)
class FeatureMethod(Method):
    """A method that learns from features which it leaves as they are.

    They are those of the model it starts from, or of a pretrained checkpoint; without either they are the raw inputs.
    """

    backbone: str = AUTO
    """A pretrained checkpoint that gives the features: its folder or Hub name (owner/name); auto: the model that it
    starts from, or the raw inputs. Of several inputs each may have its own: 'says=owner/name'."""

    takes: ClassVar = frozenset({"embed"})

    field_trials: ClassVar = {"backbone": "It names a pretrained checkpoint, which a trial has not."}

    def lacks(self, data: Data, model: Model | None = None) -> str | None:
        if model is None and (name := without_raw_features(data, self.backbone)):
            kind = data.columns[name].kind
            return (
                f"it learns from features, and inputs of the kind {kind}, as {name!r}, have none of their own. Take "
                "those of a model: supervised >> linear-probe."
            )
        return super().lacks(data, model)

    def going_on(self) -> Self:
        return replace(self, backbone=AUTO)

    def mixes_raw(self, encoding: InputEncoding) -> bool:
        """True if some inputs have features of a checkpoint, and others are raw, with the categories of their rows."""
        return self.backbone != AUTO and any(isinstance(each, TableEncoder) for each in encoding.encoders.values())

    def features(self, data: Data, model: Model | None, seed: int, run: Run) -> Features:
        """The features of the model or the checkpoint, else the raw inputs, of which what helps is learned."""
        return start_features(data, model, seed, self.backbone, run.pick_device())
