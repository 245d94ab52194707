"""Needs of language models: running text, prompts, answers, pairs of answers, judgements."""

from manyways.data.data import Data
from manyways.methods.needs.base import Need, columns_of
from manyways.methods.needs.labels import Label
from manyways.models.language.judgements import desirable


def _text(data: Data) -> str | None:
    if data.has("text") or any(column.kind == "text" for column in data.inputs):
        return None
    return f'it needs running text, and no column has that role. Name it: text="…" with one of {columns_of(data)}.'


def _answers(data: Data) -> str | None:
    if data.has("messages") or (data.has("prompt") and data.has("completion")):
        return None
    return (
        'it needs answers: a conversation, or prompts with completions. Name the columns: messages="…", or '
        f'prompt="…" and completion="…", out of {columns_of(data)}.'
    )


def _partly_answered(data: Data) -> str | None:
    if not (data.has("prompt") and data.has("completion")):
        return (
            "it needs prompts, some of which have a completion. Name their columns: "
            f'prompt="…" and completion="…", out of {columns_of(data)}.'
        )
    (name,) = data.roles["completion"]
    rows = data.training
    texts = rows.take(name)
    if rows.columns[name].kind != "text" or any(isinstance(text, list) for text in texts):
        return f"it needs completions that are texts, and {name!r} holds conversations. From those learns sft."
    blank = sum(1 for text in texts if text is None or not str(text).strip())
    if blank == len(rows):
        return f"it needs some completions to begin with, and none of {len(rows):,} training rows has one in {name!r}."
    if not blank:
        return (
            f"it needs prompts without a completion, and all {len(rows):,} training rows have one in {name!r}. Leave "
            "them empty, or learn from all by sft."
        )
    return None


def _examples(data: Data) -> str | None:
    return None if data.has("text") or _answers(data) is None else Label.check(data)


def _pairs(data: Data) -> str | None:
    if data.has("chosen") and data.has("rejected"):
        return None
    return (
        "it needs pairs of answers, of which one is preferred. Name their columns: "
        f'chosen="…" and rejected="…", out of {columns_of(data)}.'
    )


def _judged(data: Data) -> str | None:
    if data.has("chosen") and data.has("rejected"):
        return None
    if not (data.has("label") and (data.has("completion") or data.has("messages"))):
        return (
            'it needs answers judged desirable or not. Name their columns: completion="…" and label="…", which is '
            f'true where they are desirable; or chosen="…" and rejected="…", out of {columns_of(data)}.'
        )
    if reason := Label.check(data):
        return reason
    good, name = desirable(data.training.select(data.training.labelled)), data.label.name
    if good is None:
        values = ", ".join(repr(value) for value in data.classes[:4])
        return (
            f"the label {name!r} must be true where an answer is desirable and false where it is not (or 1 and 0); it "
            f'holds {values}. Translate it, or name another column: label="…".'
        )
    if good.all() or not good.any():
        kinds = "desirable" if good.all() else "undesirable"
        return (
            f"it needs desirable and undesirable answers, and all {len(good):,} that are judged are {kinds} by "
            f"{name!r}. Add some of the others; from desirable answers alone learns sft."
        )
    return None


def _prompts(data: Data) -> str | None:
    if data.has("prompt") or data.has("messages"):
        return None
    return f'it needs prompts, and no column has that role. Name it: prompt="…" with one of {columns_of(data)}.'


Text = Need("text", "running text", _text)
Answers = Need("answers", "prompts with completions, or conversations", _answers)
PartlyAnswered = Need("partly answered", "prompts, some of which have a completion", _partly_answered)
Examples = Need("examples", "labels, answers or running text", _examples, reads_labels=True)
Pairs = Need("pairs", "a chosen and a rejected answer", _pairs)
Judged = Need("judged", "answers judged desirable or not", _judged, reads_labels=True)
Prompts = Need("prompts", "prompts to answer", _prompts)
