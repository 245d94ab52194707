"""Tasks of language models."""

from collections.abc import Sequence

from manyways.comparison.exhibits import Exhibit, Matrix
from manyways.comparison.results import Best, Entry
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
    """Answering as the data do: of one task, or of several that a column names."""

    name, rows = "answers", ("answer", "answers")
    precedence = 64
    metrics, shared = (*LIKELIHOOD, "mean_nats_per_token"), "nats_per_token"

    def applies(self, data: Data) -> bool:
        return data.has("messages") or data.has("completion")

    def overview(self, entries: Sequence[Entry]) -> tuple[Exhibit, ...]:
        """The nats per token of every task, way by way."""
        scored = sorted((entry for entry in entries if entry.scored), key=lambda entry: entry.score or 0.0)
        columns = tuple(dict.fromkeys(name for entry in scored for name in entry.metrics if " of " in name))
        if not columns:
            return ()
        values = tuple(tuple(entry.metrics.get(name) for name in columns) for entry in scored)
        titles = tuple(name.partition(" of ")[2] for name in columns)
        matrix = Matrix(tuple(entry.title for entry in scored), titles, values, "way of learning", "task", False)
        note = "Nats per token of the answers of each task among the test rows: less is better."
        return (Exhibit("Task by task", note, matrix=matrix),)


class Text(Language):
    """Running text."""

    name, rows = "text", ("piece of text", "pieces of text")
    precedence = 65
    metrics, shared = LIKELIHOOD, "nats_per_token"

    def applies(self, data: Data) -> bool:
        return data.has("text")
