"""MemoryModel: a few-shot model that learns new classes by writing them into an external memory."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from manyways.checked_json import described
from manyways.errors import ModelError
from manyways.models.evaluation import Evaluation
from manyways.models.few_shot.episodes import Episodes
from manyways.models.few_shot.remembering import by_instance
from manyways.models.few_shot_model import EPISODES, FewShotModel
from manyways.models.lineage import Lineage
from manyways.models.reading import labelled
from manyways.randomness import generator

if TYPE_CHECKING:
    from manyways.data.read import Source

INSTANCES = (1, 2, 3, 5, 10)
"""Rows of a class in a sequence of which the accuracy is stated, as in the paper."""


@dataclass(frozen=True, eq=False, kw_only=True)
class MemoryModel(FewShotModel):
    """A few-shot model whose network reads a sequence, and says the class of each row before it sees its label.

    length: rows of each class in the sequences that it is scored on.
    """

    kind: ClassVar[str] = "memory"
    length: int = 10

    def evaluate(
        self, source: "Source", *, ways: int | None = None, shots: int | None = None, queries: int | None = None,
        episodes: int = EPISODES, seed: int = 0, transductive: bool = False,
    ) -> dict[str, float]:  # fmt: skip
        """As of any few-shot model, and the accuracy on the first row of a class in a sequence, the second and so on.

        In such a sequence, of `length` rows of each class in random order, every label comes one step late:
        `instance_1_accuracy` is at chance, and those after it say how well a class is known after so many rows.
        """
        scores = super().evaluate(
            source, ways=ways, shots=shots, queries=queries, episodes=episodes, seed=seed, transductive=transductive
        )
        return scores if transductive else scores | self.instances(source, ways=ways, episodes=episodes, seed=seed)

    def instances(
        self, source: "Source", *, ways: int | None = None, episodes: int = EPISODES, seed: int = 0
    ) -> dict[str, float]:
        """The accuracy on the 1st, 2nd, 3rd, 5th and 10th row of a class, as far as sequences go, mean over episodes.

        Raises:
            DataError: The classes or their rows are too few.
        """
        data = labelled(source, self.inputs)
        drawn_from = Episodes.of(data, hidden=True)
        ways = ways or max(2, min(self.ways, drawn_from.fewest_classes))
        length = max(1, min(self.length, drawn_from.fewest_rows))
        drawn_from.check(ways, 0, length)
        drawn = drawn_from.draw(episodes, ways, length, generator(seed, episodes, length))
        shares = by_instance(self.network, self.inputs.encode(data), drawn).mean(0)
        return {f"instance_{at}_accuracy": float(shares[at - 1]) for at in INSTANCES if at <= length}

    def evaluate_rows(self, source: "Source", metric: str) -> Evaluation:
        evaluation = super().evaluate_rows(source, metric)
        return replace(evaluation, scores={**evaluation.scores, **self.instances(source)})

    def write(self, folder: Path) -> dict[str, Any]:
        return {**super().write(folder), "length": self.length}

    @classmethod
    def read(cls, folder: Path, saved: Mapping[str, Any], gives: frozenset[str], lineage: Lineage) -> "MemoryModel":
        plain = FewShotModel.read(folder, saved, gives, lineage)
        return cls(
            network=plain.network, inputs=plain.inputs, adaptation=plain.adaptation, ways=plain.ways,
            shots=plain.shots, gives=gives, lineage=lineage,
            length=described(saved, "the model", ModelError).get("length", int),
        )  # fmt: skip
