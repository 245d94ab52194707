"""Tasks of language models."""

from manyways.comparison.showcase import showcase_of_answers
from manyways.comparison.tasks.base import Task, count_of
from manyways.models.language.judgements import judged

SAID = ("nats_per_character", "nats_per_token", "perplexity")
PREFERRED = ("preference_accuracy", "margin")
GIVES, SCORED = frozenset({"generate"}), frozenset({"generate", "score"})

PAIRS = Task(
    "pairs",
    asked=lambda data: data.has("chosen") and data.has("rejected"),
    gives=GIVES,
    scored=SCORED,
    metrics=(*PREFERRED, *SAID),
    learned_from=count_of("pair", "pairs"),
    closely=showcase_of_answers,
)
JUDGED = Task(
    "judged",
    asked=lambda data: judged(data) is not None,
    gives=GIVES,
    scored=SCORED,
    metrics=(*PREFERRED, *SAID),
    learned_from=count_of("judged answer", "judged answers"),
    closely=showcase_of_answers,
)
ANSWERS = Task(
    "answers",
    asked=lambda data: data.has("messages") or data.has("completion"),
    gives=GIVES,
    scored=SCORED,
    metrics=SAID,
    shared="nats_per_token",
    learned_from=count_of("answer", "answers"),
    closely=showcase_of_answers,
)
TEXT = Task(
    "text",
    asked=lambda data: data.has("text"),
    gives=GIVES,
    scored=SCORED,
    metrics=SAID,
    shared="nats_per_token",
    learned_from=count_of("piece of text", "pieces of text"),
    closely=showcase_of_answers,
)
