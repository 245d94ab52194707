"""Values of fields called reward: a function or a model, or the name of one."""

import hashlib
import inspect
import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeGuard

from manyways.data.data import Data
from manyways.errors import DataError, ParameterError
from manyways.models.model import Model
from manyways.models.saving import load_model, read_description
from manyways.typed import function_typed

Reward = str | Callable[..., Any] | Model | None
"""A function, "package.module:function", a model that scores, or its folder."""


def check_reward(reward: Reward) -> None:
    """Raise ParameterError where `reward` is no function and no model that scores, ModelError for a broken folder."""
    if isinstance(reward, Model):
        _check_scores(reward.gives, reward.lineage.title)
    elif _is_folder(reward):
        _check_scores(read_description(Path(reward))["gives"], repr(reward))
    else:
        find_reward(reward)


def find_reward(reward: Reward) -> Callable[..., Any] | Model | None:
    """The function or the model that `reward` names, or what it is already. Raises ParameterError, or ModelError."""
    if not isinstance(reward, str):
        return reward
    if _is_folder(reward):
        return load_model(Path(reward))
    module, _, name = reward.partition(":")
    if not all(part.isidentifier() for part in [*module.split("."), *name.split(".")]):
        raise ParameterError(
            f'reward must be "package.module:function", or the folder of a model that scores; got {reward!r}, which is '
            "no such name, nor a folder."
        )
    # A text here was typed: what a file names becomes a function before (see `methods.saved`), or is refused.
    found = function_typed(reward, "reward")
    if not callable(found):
        raise ParameterError(f"reward must be a function; {reward!r} is {short(repr(found))}.")
    return found  # type: ignore[no-any-return]


def content_of(reward: Reward) -> str | None:
    """The identity of a model that rewards, whatever its folder is called; None for a function."""
    if isinstance(reward, Model):
        stages = reward.lineage.stages()
        facts: Any = [(stage.method, stage.fingerprint, stage.budget, stage.seed, stage.steps) for stage in stages]
    elif _is_folder(reward):
        facts = read_description(Path(reward))
    else:
        return None
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def short(text: str, most: int = 80) -> str:
    """`text`, or how it begins."""
    return text if len(text) <= most else f"{text[:most]}…"


def name_of(reward: Reward) -> str:
    """The name of `reward` in errors."""
    if isinstance(reward, str):
        return f"The reward {reward!r}"
    if isinstance(reward, Model):
        return f"The reward model {reward.lineage.title}"
    return f"The reward function {getattr(reward, '__qualname__', type(reward).__qualname__)}"


def wanted(function: Callable[..., Any], name: str, data: Data) -> list[str]:
    """The names of what `function` is to be called with. Raises ParameterError where it asks for what there is not."""
    available = ["prompts", "completions", *data.columns]
    if twice := {"prompts", "completions"} & data.columns.keys():
        raise DataError(
            f"{data.name} has a column {min(twice)!r}, which is how a reward function calls what the model is asked or "
            "says. Give the column another name."
        )
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # some functions written in C do not say what they take
        return available
    kinds = inspect.Parameter
    lost = [
        each.name
        for each in parameters
        if each.default is kinds.empty
        and each.kind not in (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD)
        and (each.name not in available or each.kind is kinds.POSITIONAL_ONLY)
    ]
    if lost:
        raise ParameterError(
            f"{name} asks for {', '.join(map(repr, lost))}. It is called by name, with prompts, completions and the "
            f"columns of {data.name}: {', '.join(data.columns)}. Name its parameters so, or let it take **columns."
        )
    if any(each.kind is kinds.VAR_KEYWORD for each in parameters):
        return available
    asked = {each.name for each in parameters}
    return [each for each in available if each in asked]


def _is_folder(reward: Reward) -> TypeGuard[str]:
    return isinstance(reward, str) and Path(reward).is_dir()


def _check_scores(gives: Collection[str], title: str) -> None:
    if "score" not in gives:
        raise ParameterError(
            f"reward must be a model that scores completions; {title} gives {', '.join(sorted(gives))}. A method whose "
            "models score is reward-model."
        )
