"""The task of acting in an environment."""

from manyways.comparison.tasks.base import Task
from manyways.models.policy import EPISODES

ACTING = Task(
    "acting",
    asked=lambda data: data.environment is not None,
    gives=frozenset({"act"}),
    metrics=("mean_reward",),
    learned_from=lambda data, shown: data.name,
    scored_on=lambda data: f"{EPISODES} episodes",
)
