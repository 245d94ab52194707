"""The learner: one module that holds all that must survive a restart."""

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from manyways.data.encoding import Encoded
from manyways.data.repeats import same_across
from manyways.data.specs import Spec
from manyways.data.storage import RowNumbers
from manyways.data.targets import Outputs, Target
from manyways.data.views import Views
from manyways.errors import NeedsError
from manyways.models.network import Inputs, Network
from manyways.randomness import mix
from manyways.training.samplers import Epochs, Sampler
from manyways.training.small_model import losses_of_small_model

if TYPE_CHECKING:
    from manyways.data.data import Data
    from manyways.data.encoding import InputEncoding


WORD = re.compile(r"\w+|[^\w\s]")
"""A word, or a mark by itself."""


class Recovery(Protocol):
    """The signs of training that goes wrong, beyond a loss that is not finite."""

    @property
    def sound(self) -> bool:
        """True while the weights may be kept as the last good ones."""

    def trouble(self, steps: int) -> str | None:
        """The way in which a run of `steps` has gone wrong beyond return, and what to try; None while it has not."""


class Learner(nn.Module):
    """The network under training, and all that must survive a restart.

    A method adds what else it needs as submodules and buffers: a projector, a teacher, a queue. What is not in
    the `state_dict` does not survive a restart. The rows are not state: they are what `draw` indexes.
    """

    def __init__(self, network: nn.Module, data: "Data", seed: int) -> None:
        super().__init__()
        self.network = network
        self.data = data
        self.seed = seed
        self.steps = 1
        self.sampler: Sampler = Epochs()
        self.weights: Tensor | None = None
        self.has_row_losses = False

    def leave_out_frozen(self) -> None:
        """Leave weights of the network that are frozen now out of the state: they are those of the start for ever."""
        # Tied weights stand in the state under each of their names.
        held = dict(self.named_parameters(remove_duplicate=False))
        frozen = {name for name, p in held.items() if name.startswith("network.") and not p.requires_grad}
        if not frozen:
            return

        def leave_out(_: nn.Module, state: dict[str, Tensor], prefix: str, *__: Any) -> None:
            for name in frozen:
                state.pop(prefix + name, None)

        def put_back(_: nn.Module, state: dict[str, Tensor], prefix: str, *__: Any) -> None:
            for name, parameter in self.named_parameters(remove_duplicate=False):
                if name in frozen:
                    state.setdefault(prefix + name, parameter.detach())

        self.register_state_dict_post_hook(leave_out)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(put_back)  # type: ignore[no-untyped-call]

    @property
    def device(self) -> torch.device:
        """The device of the network."""
        return next(self.parameters()).device

    @property
    def validation(self) -> "Data | None":
        """The rows that early stopping watches; None where there are none."""
        rows = self.data.validation
        return rows if len(rows) else None

    @property
    def recovery(self) -> "Recovery | None":
        """The signs by which training that goes wrong is noticed, which then ends with the last good weights.

        None: such training is an error.
        """
        return None

    def milestones(self, steps: int) -> Mapping[int, str]:
        """The ends on the way, by the number of steps before them: listeners are offered the model there, too.

        Args:
            steps: Those of the whole run.

        Raises:
            TrainingError: They are too few.
        """
        return {}

    def changes(self, steps: int) -> int:
        """The number of times that the model has changed in `steps`: early stopping looks at no model twice."""
        return steps

    def erase_secrets(self, steps: int) -> bool:
        """Erase from the state, after the last of `steps`, what nobody may know; True where there was any."""
        return False

    def progress(self, step: int) -> float:
        """The share of the run that `step` is at, in [0, 1)."""
        return step / self.steps

    @property
    def batch_size(self) -> int:
        """Rows in a batch, where the method leaves that open."""
        return 64

    @property
    def picks(self) -> int:
        """The picks of a run of which the first is of step 0: of every step one, but where a method begins anew."""
        return self.steps

    @property
    def count(self) -> int:
        """The number of training rows, or of what else positions number."""
        return len(self.data.training)

    def lengths(self) -> list[NDArray[np.int64]]:
        """The positions that each training row fills, int64 [rows], by what fills them; none where all fill as many."""
        return []

    def identities(self) -> NDArray[np.int64]:
        """Numbers of what each training row holds, int64 [rows, parts]: the same for what is the same."""
        return np.arange(self.count)[:, None]

    def words(self) -> Sequence[Sequence[Hashable]] | None:
        """The words, or tokens, of the text in each training row; None where there is no text."""
        return None

    def values_of(self, column: str) -> NDArray[Any]:
        """The values of a column in the training rows."""
        return self.data.training.take(column)

    def kinds(self) -> Tensor | None:
        """The class, or the task, of each training row, int64 [rows], -1 where it is unknown; None: there are none."""
        return None

    def prepare(self) -> None:
        """Compute once, where the run is, before the first step, what the sampler picks by."""
        if self.sampler.trains_first:
            self.sampler.take_losses(self.small_losses(self.sampler.trains_first))

    def small_losses(self, steps: int) -> NDArray[np.float64]:
        """The loss of each training row, NaN where it has no label, after `steps` of a small model.

        Raises:
            NeedsError: There is no such model.
        """
        raise NeedsError(
            "A curriculum by the losses of a small model is of methods that learn one label of rows. Take another "
            "difficulty: curriculum(difficulty=length), rarity, or a column with the role difficulty."
        )

    def pick(self, pool: NDArray[np.int64], size: int | None, step: int, stream: int = 0) -> RowNumbers:
        """`size` of the positions in `pool` for `step`, by the sampler; `stream` tells draws of one step apart."""
        self.sampler.steps = self.picks
        return self.sampler.positions(pool, size or self.batch_size, step, self.seed * 8 + stream)


def summed(lengths: Iterable[NDArray[np.int64] | None]) -> list[NDArray[np.int64]]:
    """The sum of those of `lengths` that are there, alone in a list; empty where none is."""
    there = [each for each in lengths if each is not None]
    return [np.sum(there, axis=0)] if there else []


class EncodedLearner(Learner):
    """A learner of encoded rows: tensors of each modality."""

    def __init__(self, network: nn.Module, data: "Data", encoding: "InputEncoding", seed: int) -> None:
        super().__init__(network, data, seed)
        self.encoding = encoding
        self.training_data = data.training
        self.rows: Encoded = encoding.encode(self.training_data)
        self.views = Views(encoding.specs)
        self.everything: RowNumbers = np.arange(len(self.rows))

    def lengths(self) -> list[NDArray[np.int64]]:
        """The numbers of positions that each training row fills, int64 [rows]: its inputs together, and its label.

        Those of which all rows fill as many are left out.
        """
        of_inputs = (spec.lengths(self.rows.stores[name][self.rows.rows]) for name, spec in self.encoding.specs.items())
        return summed(of_inputs)

    def identities(self) -> NDArray[np.int64]:
        """As in all learners, by input; inputs of one spec are compared with each other, too."""
        groups: dict[Spec, list[str]] = {}
        for name, spec in self.encoding.specs.items():
            groups.setdefault(spec, []).append(name)
        numbers, first = [], 0
        for names in groups.values():
            numbers.append(first + same_across([self.rows.stores[name] for name in names], self.rows.rows))
            first = int(numbers[-1].max(initial=first)) + 1
        return np.concatenate(numbers, axis=1)

    @property
    def count(self) -> int:
        return len(self.rows)

    def words(self) -> list[list[str]] | None:
        names = [column.name for column in self.training_data.inputs if column.kind == "text"]
        if not names:
            return None
        texts = zip(*(self.training_data.take(name) for name in names), strict=True)
        return [WORD.findall(" ".join(str(text or "") for text in row).lower()) for row in texts]

    def values_of(self, column: str) -> NDArray[Any]:
        return self.training_data.take(column)

    def take(self, positions: RowNumbers) -> Inputs:
        """The encoded training rows at `positions`, on the network's device."""
        return self.rows.batch(positions, self.device)


class RowLearner(EncodedLearner):
    """A learner of encoded rows without labels."""

    network: Network

    def __init__(self, network: Network, data: "Data", encoding: "InputEncoding", seed: int) -> None:
        super().__init__(network, data, encoding, seed)

    @property
    def validation(self) -> "Data | None":
        """None: early stopping watches a score of predictions."""
        return None


class LabelledLearner(RowLearner):
    """A learner of encoded rows with a label, where they have one.

    Attributes:
        target: What the labels are.
        labels: The encoded labels of all training rows.
        weights: The sample weights of all training rows, float32, 1 on average over the labelled ones; None: all 1.
        labelled: The positions of the rows with a label that may be seen; `unlabelled`: those of the others.
    """

    def __init__(self, network: Network, data: "Data", encoding: "InputEncoding", target: Target, seed: int) -> None:
        super().__init__(network, data, encoding, seed)
        self.target = target
        self.labels: Tensor = torch.from_numpy(target.encode(self.training_data))
        self.labelled: RowNumbers = np.flatnonzero(self.training_data.labelled)
        self.unlabelled: RowNumbers = np.flatnonzero(~self.training_data.labelled)
        self.has_row_losses = True

    @property
    def validation(self) -> "Data | None":
        """The validation rows that have a label."""
        rows = self.data.validation
        shown = rows.select(rows.labelled)
        return shown if len(shown) else None

    @property
    def batch_size(self) -> int:
        return self.target.recipe.batch_size

    def lengths(self) -> list[NDArray[np.int64]]:
        return [*super().lengths(), *summed([self.target.lengths(self.labels.numpy())])]

    def kinds(self) -> Tensor | None:
        return self.labels if self.target.classification else None

    def small_losses(self, steps: int) -> NDArray[np.float64]:
        return losses_of_small_model(self, steps, mix(self.seed, 5))

    def see(self, view: str | None, rows: RowNumbers, rng: torch.Generator) -> dict[str, Any]:
        """The batch of the labelled rows at `rows`: their inputs, seen through `view` unless it is None, and labels."""
        inputs, batch = self.take(rows), self.labels_of(rows)
        if view is not None:
            inputs, batch["labels"] = self.target.seen(self.views, view, inputs, batch["labels"], rng)
        return {"inputs": inputs, **batch}

    def weigh(self, *, balanced: bool) -> None:
        """Weigh the labelled rows by the column of the role weight, and by class where `balanced`."""
        self.weights = label_weights(self.training_data, self.target, self.labels, balanced=balanced)

    def labels_at(self, positions: RowNumbers) -> Tensor:
        """The labels at `positions`, encoded."""
        return self.labels.index_select(0, torch.from_numpy(positions)).to(self.device)

    def labels_of(self, positions: RowNumbers) -> dict[str, Tensor]:
        """The members of a batch that `label_loss` reads: the labels at `positions`, and their sample weights."""
        labels = {"labels": self.labels_at(positions)}
        if self.sampler.weighs:
            labels["positions"] = torch.from_numpy(positions).to(self.device)
        if self.weights is not None and not self.sampler.by_weight:
            labels["weights"] = self.weights.index_select(0, torch.from_numpy(positions)).to(self.device)
        return labels

    def label_loss(self, outputs: Outputs, batch: Mapping[str, Any], smoothing: float = 0.0) -> Tensor:
        """The mean loss of outputs for rows against the labels of a batch, by their sample weights."""
        weights: Tensor | None = batch.get("weights")
        if self.sampler.weighs and "positions" in batch:
            with torch.no_grad():
                losses = self.target.losses(outputs, batch["labels"], smoothing).float()
                own = self.sampler.weigh(batch["positions"], losses)
            weights = own if weights is None else weights * own
        return self.target.loss(outputs, batch["labels"], weights, smoothing)


def label_weights(data: "Data", target: Target, labels: Tensor, *, balanced: bool) -> Tensor | None:
    """Weights of the rows of `data` in a loss, float32 [rows], 1 on average over those with a visible label.

    Args:
        data: The rows; those with the role weight weigh as it says.
        target: What the labels are.
        labels: The encoded labels of all rows.
        balanced: True for weights by class besides, so that each class weighs the same.

    Returns:
        None where all weigh the same.
    """
    seen = torch.from_numpy(np.flatnonzero(data.labelled))
    if not balanced:
        return row_weights(data)
    classes = torch.ones(len(labels))
    classes[seen] = target.class_weights(labels[seen]).float()
    return row_weights(data, classes)


def row_weights(data: "Data", factors: Tensor | None = None) -> Tensor | None:
    """The sample weights of the rows of `data`, float32 [rows], times `factors`; 1 on average over the labelled ones.

    Returns:
        None where all labelled rows weigh the same.
    """
    given = data.sample_weights
    if given is None and factors is None:
        return None
    weights = torch.ones(len(data)) if given is None else torch.from_numpy(given).float()
    weights = weights if factors is None else weights * factors
    seen = weights[torch.from_numpy(np.flatnonzero(data.labelled))]
    return None if bool((seen == seen[0]).all()) else weights / seen.mean()
