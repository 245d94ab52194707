"""Ability: one thing that models can do, its verbs, and what to type next with a model that has it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from manyways.data.targets import predictions
from manyways.registry import Registry

if TYPE_CHECKING:
    from manyways.data.data import Data
    from manyways.models.model import Model


@dataclass(frozen=True, eq=False)
class Saved:
    """A model in a folder, as whoever typed the command that made it sees it.

    Attributes:
        model: The model.
        folder: Where it was saved.
        source: What was typed for its data.
        data: What was read of that.
        beginning: The beginning of a text of `data`.
        environment: What was typed of its environment.
    """

    model: "Model"
    folder: str
    source: str
    data: "Data"
    beginning: str
    environment: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ability:
    """One thing that models can do.

    Attributes:
        name: The word for it.
        protocol: What such a model has, a runtime-checkable `Protocol`: its members are the verbs.
        words: Those among a model's `gives` that mean it.
        meaning: What it does, after "it cannot".
        maker: A method whose models can.
        type_next: Returns the words of the command to type next; None where there is none.
        precedence: Of a model's several abilities that of the lowest says what to type next.
    """

    name: str
    protocol: type[Any]
    words: Callable[[], frozenset[str]]
    meaning: str
    maker: str
    type_next: Callable[[Saved], tuple[str, ...]] | None = None
    precedence: int = 50

    @property
    def verbs(self) -> frozenset[str]:
        """The names that a model with it has."""
        return frozenset(name for name in vars(self.protocol) if not name.startswith("_"))

    def given_by(self, model: "Model") -> bool:
        """True if the model says that it can."""
        return bool(self.words() & model.gives)


ABILITIES: Registry[Ability] = Registry("abilities", Ability, "manyways.models.abilities")
"""Every ability by its name: those of this folder, and of the entry-point group `manyways.abilities`."""


def ability_of(verb: str) -> Ability | None:
    """The ability that a verb belongs to; None where it belongs to none."""
    return next((ability for ability in ABILITIES.all().values() if verb in ability.verbs), None)


def next_words(saved: Saved) -> tuple[str, ...] | None:
    """The words of the command to type next with a model; None where none of its abilities says one."""
    for ability in sorted(ABILITIES.all().values(), key=lambda ability: ability.precedence):
        if ability.type_next is not None and ability.given_by(saved.model):
            return ability.type_next(saved)
    return None


def any_of(gives: Iterable[str]) -> str:
    """Words of `gives`, any of which will do, as the object of a sentence: "embed or predictions"."""
    given = frozenset(gives)
    labels = predictions() if predictions(structured=False) <= given else frozenset()
    return " or ".join(sorted(given - labels | ({"predictions"} if labels else frozenset())))


def words(*fixed: str) -> Callable[[], frozenset[str]]:
    """The words of an ability that are known from the start."""
    return lambda: frozenset(fixed)
