"""FewShotModel: a network that turns to classes it never saw, from a few examples of each."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray

from manyways.checked_json import described
from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.targets import Target
from manyways.errors import DataError, ModelError
from manyways.models.derivation import derived
from manyways.models.evaluation import Evaluation
from manyways.models.few_shot.adapting import ADAPTATIONS, Adaptation, device_of
from manyways.models.few_shot.episodes import Episodes
from manyways.models.lineage import Lineage
from manyways.models.model import Model
from manyways.models.network import Network, rebuild_network
from manyways.models.predictor import Predictor
from manyways.models.reading import labelled
from manyways.models.rebuilding import check_fit, filled
from manyways.models.running import check_gaps
from manyways.models.weights import write_weights
from manyways.randomness import generator

if TYPE_CHECKING:
    from manyways.data.read import Source

EPISODES = 600
"""Over which a model is scored, as in the field's tables."""
MOST_QUERIES = 15
"""Rows of a class that are asked in an episode, where it has so many."""
NORMAL_95 = 1.959964
ALONE, TOGETHER = "accuracy", "transductive_accuracy"
"""The scores of queries that are told one by one, and of those that are seen together."""


@dataclass(frozen=True, eq=False, kw_only=True)
class FewShotModel(Model):
    """A network that was trained on episodes, and how it turns to new classes.

    `adapt` makes a Predictor of a few labelled rows. ways, shots: the classes of an episode that it is scored on, and
    the examples of each.
    """

    kind: ClassVar[str] = "few-shot"
    network: Network = field(repr=False)
    inputs: InputEncoding = field(repr=False)
    adaptation: Adaptation
    ways: int = 5
    shots: int = 1

    def adapt(self, support: "Source") -> Predictor:
        """A model that tells the classes of `support` apart, made of its labelled rows, whatever part they are in.

        The method `adapt` makes the same model in a chain.

        Raises:
            DataError: Where no row has a label, the label is a number, or rows lack an input.
            ModelError: For more classes than the model can tell apart.
        """
        shown = examples(labelled(support, self.inputs))
        return derived(self.adapted(shown), self, "adapt", shown, {}, {})

    def adapted(self, support: Data) -> Predictor:
        """Return the model adapted to the labelled training rows, without a lineage."""
        table = examples(support.training)
        target = Target.fit(table)
        if not target.classification:
            raise DataError(
                f"A few-shot model adapts to classes, and the label {target.name!r} of {table.name} is a number. If "
                f'its values are classes: kinds={{"{target.name}": "category"}}.'
            )
        labels = torch.from_numpy(target.encode(table)).to(device_of(self.network))
        rows = self.inputs.encode(table)
        check_gaps(rows.absent, table, self.inputs, self.network)
        network = self.adaptation.adapted(self.network, rows, labels, target.width)
        return Predictor(network=network, inputs=self.inputs, target=target, gives=frozenset({"classify", "embed"}))

    @property
    def metric(self) -> str | None:
        return "accuracy"

    def evaluate(
        self, source: "Source", *, ways: int | None = None, shots: int | None = None, queries: int | None = None,
        episodes: int = EPISODES, seed: int = 0, transductive: bool = False,
    ) -> dict[str, float]:  # fmt: skip
        """Mean accuracy over episodes drawn from the rows whose label is known, and half the width of its 95% interval.

        The classes may be new to the model; where the data has tasks, those of an episode are of one. ways, shots: by
        default as it was made for, and no more ways than there are classes. queries: rows of each class that are asked;
        by default as many as all classes have, up to 15. The same seed draws the same episodes. Each query is told
        alone; transductive: all queries of an episode are seen together, as MAML's authors do, and the scores are
        called so: `transductive_accuracy`.

        Raises:
            DataError: The classes or their rows are too few.
        """
        accuracies = self.accuracies(
            source, ways=ways, shots=shots, queries=queries, episodes=episodes, seed=seed, transductive=transductive
        )
        return _scores(accuracies, TOGETHER if transductive else ALONE)

    def accuracies(
        self, source: "Source", *, ways: int | None = None, shots: int | None = None, queries: int | None = None,
        episodes: int = EPISODES, seed: int = 0, transductive: bool = False,
    ) -> NDArray[np.float64]:  # fmt: skip
        """The accuracy in each of the episodes of `evaluate`, float [episodes]."""
        data = labelled(source, self.inputs)
        drawn_from = Episodes.of(data, hidden=True)
        ways, shots = ways or max(2, min(self.ways, drawn_from.fewest_classes)), shots or self.shots
        queries = queries or max(1, min(MOST_QUERIES, drawn_from.fewest_rows - shots))
        drawn_from.check(ways, shots, queries)
        support, asked = drawn_from.draw(episodes, ways, shots + queries, generator(seed, episodes)).split(shots)
        score = self.adaptation.together if transductive else self.adaptation.accuracies
        return score(self.network, self.inputs.encode(data), support, asked)

    def evaluate_rows(self, source: "Source", metric: str) -> Evaluation:
        """As `evaluate`, alone and transductively, and the accuracies of the episodes by the one that is `metric`."""
        alone = together = self.accuracies(source)
        if self.adaptation.transductive(self.network):
            together = self.accuracies(source, transductive=True)
        by_name = {ALONE: alone, TOGETHER: together}
        scores = {key: value for name, each in by_name.items() for key, value in _scores(each, name).items()}
        return Evaluation(scores, by_name.get(metric))

    def embed(self, source: "Source") -> NDArray[np.float32]:
        return self.as_predictor().embed(source)

    def as_predictor(self, data: "Data | None" = None) -> Predictor:
        network = copy.copy(self.network)
        network._modules = {**self.network._modules, "head": None}
        return Predictor(network=network, inputs=self.inputs, gives=frozenset({"embed"}), lineage=self.lineage)

    def _cannot(self, verb: str) -> NoReturn:
        if verb != "predict":
            super()._cannot(verb)
        raise ModelError(
            f"{self.lineage.title} gives {', '.join(sorted(self.gives))}: it has no classes of its own to predict. "
            "Show it a few labelled rows of each of yours: model.adapt(support).predict(rows)."
        )

    def write(self, folder: Path) -> dict[str, Any]:
        write_weights(self.network, folder)
        return {
            "network": self.network.config(),
            "inputs": self.inputs.to_json(),
            "adaptation": self.adaptation.to_json(),
            "episodes": {"ways": self.ways, "shots": self.shots},
        }

    @classmethod
    def read(cls, folder: Path, saved: Mapping[str, Any], gives: frozenset[str], lineage: Lineage) -> "FewShotModel":
        network = filled(lambda: rebuild_network(saved["network"]), folder)
        episodes = described(saved["episodes"], "`episodes` of the model", ModelError)
        inputs = InputEncoding.from_json(saved["inputs"])
        check_fit(network, inputs)
        return cls(
            network=network,
            inputs=inputs,
            adaptation=ADAPTATIONS.rebuild(saved["adaptation"]),
            ways=episodes.get("ways", int),
            shots=episodes.get("shots", int),
            gives=gives,
            lineage=lineage,
        )


def examples(data: Data) -> Data:
    """The labelled rows of `data` as a table of their own, all to learn from: its classes are theirs alone."""
    shown = data.select(data.labelled) if data.has("label") else data
    columns = [column.select(shown.rows) for column in data.columns.values()]
    if not len(shown):
        return shown
    return Data.from_columns(columns, data.roles, name=data.name, source=data.source)


def _scores(accuracies: NDArray[np.float64], name: str) -> dict[str, float]:
    """The mean of the accuracies of episodes, and half the width of its 95% interval."""
    spread = float(accuracies.std(ddof=1)) if len(accuracies) > 1 else 0.0
    half = NORMAL_95 * spread / float(np.sqrt(len(accuracies)))
    return {name: float(accuracies.mean()), f"{name}_interval": half}
