"""Spans of a text: answers to a question that stand in it, with the character that each starts at."""

import json
import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = frozenset(string.punctuation)
UNPLACED = -1
"""Start of an answer of which only the words are known."""


class Span(NamedTuple):
    """An answer: its words, and the character of the text that they start at, -1 where that is not known yet."""

    text: str
    start: int = UNPLACED


def spans_of(value: Any) -> tuple[Span, ...]:
    """The spans of a value: JSON or a mapping with text and start (or answer_start), lists of such, or words alone.

    Raises:
        ValueError: It is none of these; the message says what is wrong.
    """
    if isinstance(value, str):
        stripped = value.strip()
        if not stripped.startswith(("{", "[")):
            return (Span(value),)
        try:
            value = json.loads(stripped)
        except ValueError:
            return (Span(str(value)),)
    if isinstance(value, list | tuple):
        return tuple(span for part in value for span in spans_of(part))
    if not isinstance(value, Mapping) or "text" not in value:
        raise ValueError(f'it must be words, or {{"text": …, "start": …}}; got {str(value)[:60]!r}')
    starts = value.get("start", value.get("answer_start"))
    texts = value["text"]
    if not isinstance(texts, list | tuple):
        texts, starts = ([] if texts == "" else [texts]), (None if starts is None else [starts])
    starts = [None] * len(texts) if starts is None else list(starts)[: len(texts) or None]
    if len(starts) != len(texts):
        raise ValueError(f"it has {len(texts)} texts and {len(starts)} starts")
    return tuple(Span(_words(text), _place(start)) for text, start in zip(texts, starts, strict=True))


def spelled(spans: Sequence[Span]) -> str:
    """`spans` in their one spelling: compact JSON of texts and starts; without any there is no answer."""
    starts = [None if span.start == UNPLACED else span.start for span in spans]
    table = {"text": [span.text for span in spans], "start": starts}
    return json.dumps(table, ensure_ascii=False, separators=(",", ":"))


def placed(span: Span, context: str) -> Span:
    """`span` where it stands in `context`.

    Raises:
        ValueError: It stands nowhere, elsewhere, or in several places; the message says which.
    """
    if not context.strip():
        raise ValueError(f"the text is empty, so that {span.text[:40]!r} cannot stand in it")
    if span.start == UNPLACED:
        count = context.count(span.text)
        if count == 1:
            return Span(span.text, context.index(span.text))
        many = f"stands {count} times" if count else "stands nowhere"
        raise ValueError(f"the answer {span.text[:40]!r} has no start, and {many} in the text")
    end = span.start + len(span.text)
    if not 0 <= span.start < end <= len(context):
        raise ValueError(
            f"the answer {span.text[:40]!r} starts at character {span.start:,}, and the text has {len(context):,}"
        )
    if context[span.start : end] != span.text:
        there = context[span.start : end]
        raise ValueError(f"at character {span.start:,} stands {there[:40]!r}, and not the answer {span.text[:40]!r}")
    return span


def normalised(answer: str) -> str:
    """An answer without case, punctuation, articles and superfluous blanks, as SQuAD compares them."""
    bare = "".join(letter for letter in answer.lower() if letter not in PUNCTUATION)
    return " ".join(ARTICLES.sub(" ", bare).split())


def exact_match(predicted: str, answers: Sequence[str]) -> float:
    """1 where the normalised answer is one of `answers`, or there is none in both; else 0."""
    return float(any(normalised(predicted) == normalised(answer) for answer in answers or ("",)))


def token_f1(predicted: str, answers: Sequence[str]) -> float:
    """The greatest F1 of the words of an answer with those of `answers`, normalised (Rajpurkar et al., EMNLP 2016)."""
    return max(_f1(normalised(predicted).split(), normalised(answer).split()) for answer in answers or ("",))


def _f1(predicted: list[str], answer: list[str]) -> float:
    if not predicted or not answer:
        return float(predicted == answer)
    common = sum((Counter(predicted) & Counter(answer)).values())
    return 2 * common / (len(predicted) + len(answer))


def _words(text: Any) -> str:
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"an answer must be words; got {text!r}")
    return text


def _place(start: Any) -> int:
    if start is None:
        return UNPLACED
    if isinstance(start, bool) or not isinstance(start, int | float) or start != int(start):
        raise ValueError(f"a start must be a whole number of characters; got {start!r}")
    if start < 0:
        raise ValueError(f"a start must be 0 or more; got {start!r}")
    return int(start)
