"""The learner of several labels, and what is learned of them beside the network."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.targets import Targets
from manyways.errors import ParameterError
from manyways.methods.bases.labels import LabelsLearner
from manyways.models.lockstep import Skippable, units_of
from manyways.models.networks import Networks


class MultiTaskLearner(LabelsLearner):
    """A learner of several labels, and what is learned of them beside the network.

    Attributes:
        log_variances: log σ² of each label, for losses weighted by uncertainty.
        loss_weights: Weight of each label's loss, 1 on average, for GradNorm.
        first_losses: The first loss of each label, NaN before there is one.
        first_weights: The weights that the run began with, to which AdaShare returns; they follow from the seed.
    """

    first_losses: Tensor

    def __init__(self, network: Networks, data: Data, encoding: InputEncoding, targets: Targets, seed: int) -> None:
        super().__init__(network, data, encoding, targets, seed)
        count = len(targets.members)
        self.log_variances = nn.Parameter(torch.zeros(count), requires_grad=False)
        self.loss_weights = nn.Parameter(torch.ones(count), requires_grad=False)
        self.register_buffer("first_losses", torch.full((count,), torch.nan))
        self.first_weights: dict[str, Tensor] = {}

    def places(self, names: Iterable[str]) -> list[int]:
        """The places of the labels `names` among all."""
        return [self.targets.names.index(name) for name in names]

    @property
    def skippable(self) -> list[Skippable]:
        """The blocks that labels may skip."""
        return [unit for unit in units_of(self.network, Skippable) if isinstance(unit, Skippable)]


def weights_by_label(given: object) -> tuple[tuple[str, float], ...]:
    """Weights of labels, given as a mapping, or as they are saved. Raises ParameterError for anything else."""
    pairs = list(given.items()) if isinstance(given, Mapping) else given
    weights: dict[str, float] = {}
    for pair in pairs if isinstance(pairs, list | tuple) else [None]:
        name, weight = pair if isinstance(pair, list | tuple) and len(pair) == 2 else (None, None)
        if not isinstance(weight, int | float) or isinstance(weight, bool) or not weight > 0:
            raise ParameterError(
                "MultiTask.label_weights must be numbers above 0 by label, such as {'pos': 1, 'tree': 0.5}; got "
                f"{given!r}. To leave a label out, do not name it: label=…."
            )
        weights[str(name)] = float(weight)
    return tuple(weights.items())
