"""Environments: what there is to act in, in place of a table; Gymnasium makes them."""

import copy
import functools
import importlib
import inspect
import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manyways.data.spaces import Space, read_space
from manyways.errors import DataError, did_you_mean
from manyways.typed import import_typed

if TYPE_CHECKING:
    from gymnasium import Env
    from gymnasium.envs.registration import EnvSpec
    from gymnasium.vector import VectorEnv

ID = re.compile(r"(?:(?P<module>[\w.]+):)?(?P<name>(?:(?P<namespace>[\w-]+)/)?[\w.-]+-v\d+)")
"""Ids as Gymnasium writes them: `CartPole-v1`, `ALE/Pong-v5`, and `module:Name-v0` for one that a module registers."""


@dataclass(frozen=True, eq=False)
class Environment:
    """The making of an environment, as often as it is wanted.

    Attributes:
        name: Its id with options, or that of the function that makes it.
        id: Id as it was given, with the module that registers it.
        spec: Gymnasium's description of it; None where `factory` makes single environments.
    """

    name: str
    id: str = field(default="", repr=False)
    spec: "EnvSpec | None" = field(default=None, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    factory: "Callable[[], Env[Any, Any]] | None" = field(default=None, repr=False)

    @property
    def facts(self) -> str:
        """All that tells it from others, for fingerprints."""
        wrappers = self.spec.additional_wrappers if self.spec else ()
        own = sorted((self.spec.kwargs if self.spec else {}).items(), key=str)
        return repr((self.name, own, sorted(self.options.items()), wrappers))

    @property
    def own_vectors(self) -> bool:
        """True if many are made by the environment's own vector class; else they are stepped one by one.

        Its own class is taken where it has one that knows all options, and no wrapper lies around the environment.
        """
        if self.spec is None or self.spec.vector_entry_point is None or self.spec.additional_wrappers:
            return False
        if self.spec.entry_point is None:
            return True
        entry = self.spec.vector_entry_point
        if isinstance(entry, str):
            module, _, name = entry.partition(":")
            entry = getattr(importlib.import_module(module), name)
        taken = inspect.signature(entry).parameters
        named = {**self.spec.kwargs, **self.options}
        return any(each.kind is each.VAR_KEYWORD for each in taken.values()) or named.keys() <= taken.keys()

    @cached_property
    def spaces(self) -> tuple[Space, Space]:
        """The spaces of observations and actions. Raises DataError where it cannot be made or learned from."""
        vector = self.make(1)
        try:
            observed = read_space(vector.single_observation_space, f"observations of {self.name}")
            return observed, read_space(vector.single_action_space, f"actions of {self.name}")
        finally:
            vector.close()

    @property
    def longest(self) -> int | None:
        """The most steps of an episode, where the environment's registration says it."""
        return self.spec.max_episode_steps if self.spec else None

    def to_json(self) -> dict[str, Any]:
        """The description of which another process makes the same. Raises DataError for what it could not make."""
        options = {**(self.spec.kwargs if self.spec else {}), **self.options}
        named = self.spec is not None and not self.spec.additional_wrappers and _plain(options)
        if not named or self.spec is None:
            raise DataError(
                f"{self.name} cannot be made again by another process: it is no id with plain options. Work in this "
                "process, workers=0, or register it (gymnasium.register) and give its id."
            )
        return {"id": self.id or self.spec.id, "options": options}

    def make(self, count: int) -> "VectorEnv[Any, Any, Any]":
        """`count` of them that are stepped together. Raises DataError where they cannot be made."""
        import gymnasium
        from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

        try:
            if self.own_vectors and self.spec:
                environments = gymnasium.make_vec(self.spec, count, "vector_entry_point", **self.options)
            else:
                environments = SyncVectorEnv([self.make_one] * count, autoreset_mode=AutoresetMode.SAME_STEP)
        except DataError:
            raise
        except Exception as error:
            hint = f"Try it alone: gymnasium.make({self.spec.id!r})." if self.spec else "Give a function that makes it."
            raise DataError(
                f"The environment {self.name} cannot be made: {type(error).__name__}: {_first_line(error)} {hint}"
            ) from error
        vectors: VectorEnv[Any, Any, Any] = environments
        mode = vectors.metadata.get("autoreset_mode")
        if not isinstance(mode, AutoresetMode):
            raise DataError(
                f"The vector class of {self.name}, {type(vectors.unwrapped).__name__}, does not say when it begins "
                f"episodes anew: metadata['autoreset_mode'] must be a gymnasium.vector.AutoresetMode; got {mode!r}."
            )
        return vectors

    def make_one(self) -> "Env[Any, Any]":
        """A single one. Raises whatever its own code raises."""
        import gymnasium

        if self.spec is not None:
            # The checker warns of what is looked at here anyway, at every step.
            return gymnasium.make(self.spec, disable_env_checker=True, **self.options)
        assert self.factory is not None
        environment = self.factory()
        if not isinstance(environment, gymnasium.Env):
            raise DataError(f"{self.name} must make a gymnasium.Env; it made {type(environment).__name__!r}.")
        return environment


def find_environment(source: Any, options: Mapping[str, Any] | None = None) -> Environment | None:
    """The environment that `source` is; None where it is something else.

    source: a Gymnasium id, an environment, or a function or class that makes one. options: what Gymnasium passes on
    to one that is named by its id. An id may name a module, which is imported, so that it must be one that a person
    typed, and none out of a file. Raises DataError for an id that nobody registered.
    """
    given = dict(options or {})
    if isinstance(source, str):
        return _by_id(source, given)
    environment = _by_object(source)
    if environment is not None and given:
        raise DataError(f"{environment.name} is an object, so it has its options already; got environment={given!r}.")
    return environment


def environment_from_json(saved: Mapping[str, Any]) -> Environment:
    """The environment that `to_json` wrote."""
    found = find_environment(saved["id"], saved["options"])
    assert found is not None
    return found


def known_ids() -> list[str]:
    """All ids that are registered; none where Gymnasium is not installed."""
    try:
        import gymnasium
    except ModuleNotFoundError:
        return []
    return list(gymnasium.registry)


def _by_id(text: str, options: dict[str, Any]) -> Environment | None:
    match = ID.fullmatch(text)
    if match is None or text.startswith("hub:") or Path(text).expanduser().exists():
        return None
    try:
        import gymnasium
    except ModuleNotFoundError as error:
        if match["namespace"] and not match["module"]:
            return None  # to one who has no environments it is a path that is not there
        raise DataError(
            f"{text!r} names an environment, and those need the package gymnasium. Install it: "
            "pip install 'manyways[reinforcement]'"
        ) from error
    if match["module"]:
        try:
            import_typed(match["module"])
        except ModuleNotFoundError as error:
            raise DataError(
                f"{text!r} is an environment that the module {match['module']!r} registers, and there is no such "
                "module. Install it, or run in the folder where it lies."
            ) from error
    if match["name"] not in gymnasium.registry:
        namespaces = {known.namespace for known in gymnasium.registry.values()}
        if match["namespace"] and match["namespace"] not in namespaces and not match["module"]:
            return None
        raise DataError(
            f"There is no environment {match['name']!r}.{did_you_mean(match['name'], known_ids())} Allowed are the "
            f"{len(gymnasium.registry)} ids that Gymnasium knows (gymnasium.pprint_registry()), and 'module:Name-v0' "
            "for those that a module registers when it is imported."
        )
    shown = ", ".join(f"{name}={value!r}" for name, value in options.items())
    spec = gymnasium.registry[match["name"]]
    return Environment(f"{text}({shown})" if shown else text, text, spec, options)


def _by_object(source: Any) -> Environment | None:
    if inspect.isfunction(source) or isinstance(source, functools.partial):
        made_by = source.func if isinstance(source, functools.partial) else source
        return Environment(f"{made_by.__module__}.{made_by.__qualname__}", factory=source)
    gymnasium = sys.modules.get("gymnasium")  # where it is not loaded, nothing can be an environment
    if gymnasium is None:
        return None
    if isinstance(source, type) and issubclass(source, gymnasium.Env):
        return Environment(f"{source.__module__}.{source.__qualname__}", factory=source)
    if isinstance(source, gymnasium.vector.VectorEnv):
        raise DataError(
            f"{source} is many environments already; how many there are is for the method to say. Give a single one, "
            "its id, or a function that makes it."
        )
    if not isinstance(source, gymnasium.Env):
        return None
    spec = source.spec
    if spec is not None and all(wrapper.kwargs is not None for wrapper in spec.additional_wrappers):
        spec = copy.deepcopy(spec)
        spec.kwargs.pop("render_mode", None)  # nobody watches while it is learned
        shown = ", ".join(f"{name}={value!r}" for name, value in spec.kwargs.items())
        return Environment(f"{spec.id}({shown})" if shown else spec.id, spec=spec)
    return Environment(
        f"{type(source.unwrapped).__module__}.{type(source.unwrapped).__qualname__}",
        factory=functools.partial(copy.deepcopy, source),
    )


def _plain(options: Mapping[str, Any]) -> bool:
    try:
        return bool(json.loads(json.dumps(options)) == dict(options))
    except (TypeError, ValueError):
        return False


def _first_line(error: Exception) -> str:
    text = (str(error).strip() or "no reason is given").splitlines()[0]
    return text if text.endswith(".") else f"{text}."
