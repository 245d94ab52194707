"""The task of telling classes apart that were never trained, from a few examples of each."""

from manyways.comparison.tasks.base import Task
from manyways.data.data import Data
from manyways.models.evaluation import Evaluation
from manyways.models.few_shot_model import EPISODES, FewShotModel
from manyways.models.model import Model

EPISODES_ON_THE_WAY = 100
"""Episodes that each point of a learning curve is the mean of: of all test rows, for a few might lack classes."""


class FewShot(Task):
    """Few-shot classification of classes that no training row has."""

    name = "few-shot"
    precedence = 20
    gives = scored = frozenset({"adapt"})
    metrics = ("accuracy", "transductive_accuracy")
    units = "episodes"

    def applies(self, data: Data) -> bool:
        """True if the classes of test rows are known, and none of them is one of the training rows'."""
        if len(data.labels) != 1 or not data.inputs or not data.classification:
            return False
        name = data.label.name
        tested, learned = (set(part.take(name)[part.known].tolist()) for part in (data.test, data.training))
        return bool(tested) and bool(learned) and not tested & learned

    def score(self, model: Model, data: Data, rows: int | None) -> dict[str, float]:
        if not isinstance(model, FewShotModel):
            return {}
        return model.evaluate(data.test, episodes=EPISODES if rows is None else EPISODES_ON_THE_WAY)

    def evaluate(self, model: Model, data: Data, metric: str) -> Evaluation:
        return model.evaluate_rows(data.test, metric) if isinstance(model, FewShotModel) else Evaluation({})

    def learned_from(self, data: Data, visible: Data) -> str:
        training = data.training
        classes = len(set(training.take(data.label.name)[training.labelled].tolist()))
        return f"{int(training.labelled.sum()):,} rows of {classes:,} classes, others than those of the test rows"

    def scored_on(self, data: Data) -> str:
        return f"{EPISODES} episodes of classes of the test rows"
