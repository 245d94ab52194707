"""The task of acting in an environment."""

from manyways.comparison.tasks.base import Task
from manyways.data.data import Data
from manyways.models.policy import EPISODES


class Acting(Task):
    """Acting for the most reward."""

    name = "acting"
    precedence = 80
    gives = frozenset({"act"})
    metrics = ("mean_reward",)
    units = "episodes"

    def applies(self, data: Data) -> bool:
        return data.environment is not None

    def learned_from(self, data: Data, visible: Data) -> str:
        return data.name

    def scored_on(self, data: Data) -> str:
        return f"{EPISODES} episodes"
