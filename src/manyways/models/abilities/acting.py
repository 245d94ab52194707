"""Acting in an environment."""

from typing import Protocol, runtime_checkable

from manyways.data.spaces import Space
from manyways.models.abilities.base import Ability, Saved, words


@runtime_checkable
class Acts(Protocol):
    """A policy, which acts in an environment: `action, _ = policy.predict(observation)`."""

    observation_space: Space
    action_space: Space


def _next(saved: Saved) -> tuple[str, ...]:
    name = str(saved.model.lineage.method["name"])
    return "fit", name, saved.source, *saved.environment, "--start", saved.folder, "--out", f"{saved.folder}-tuned"


ACT = Ability("act", Acts, words("act"), "act", "ppo", _next, 10)
