"""Abilities: what models can do, a small protocol each."""

from manyways.models.abilities.acting import Acts
from manyways.models.abilities.adapting import Adapts
from manyways.models.abilities.base import ABILITIES, Ability, Saved, ability_of, any_of, next_words
from manyways.models.abilities.comparing import Compares
from manyways.models.abilities.embedding import Embeds
from manyways.models.abilities.generative import Densities, Reconstructs, Samples
from manyways.models.abilities.language import Generates, Scores
from manyways.models.abilities.predicting import Predicts
from manyways.models.abilities.retrieving import Retrieves

__all__ = [
    "ABILITIES", "Ability", "Acts", "Adapts", "Compares", "Densities", "Embeds", "Generates", "Predicts",
    "Reconstructs", "Retrieves", "Samples", "Saved", "Scores", "ability_of", "any_of", "next_words",
]  # fmt: skip
