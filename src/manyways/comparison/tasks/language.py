"""Tasks of language models."""

from manyways.comparison.results import Best
from manyways.comparison.showcase import showcase_of_answers
from manyways.comparison.tasks.base import TEST_ROWS, Task
from manyways.data.data import Data
from manyways.models.language.judgements import judged
from manyways.models.model import Model

LIKELIHOOD = ("nats_per_character", "nats_per_token", "perplexity")
PREFERENCE = ("preference_accuracy", "margin")


class Language(Task):
    """Text, in the roles that its subclasses state, said or preferred by language models."""

    gives, scored = frozenset({"generate"}), frozenset({"generate", "score"})
    units = TEST_ROWS

    def closely(self, name: str, model: Model, test: Data) -> Best:
        return showcase_of_answers(name, model, test)


class Pairs(Language):
    """Preferring the chosen of two answers."""

    name, rows = "pairs", ("pair", "pairs")
    precedence = 62
    metrics = PREFERENCE + LIKELIHOOD

    def applies(self, data: Data) -> bool:
        return data.has("chosen") and data.has("rejected")


class Judged(Language):
    """Preferring answers that were judged good."""

    name, rows = "judged", ("judged answer", "judged answers")
    precedence = 63
    metrics = PREFERENCE + LIKELIHOOD

    def applies(self, data: Data) -> bool:
        return judged(data) is not None


class Answers(Language):
    """Answering as the data do."""

    name, rows = "answers", ("answer", "answers")
    precedence = 64
    metrics, shared = LIKELIHOOD, "nats_per_token"

    def applies(self, data: Data) -> bool:
        return data.has("messages") or data.has("completion")


class Text(Language):
    """Running text."""

    name, rows = "text", ("piece of text", "pieces of text")
    precedence = 65
    metrics, shared = LIKELIHOOD, "nats_per_token"

    def applies(self, data: Data) -> bool:
        return data.has("text")
