"""The best entry seen closely: its confusions, and the rows it got wrong, ready to be shown."""

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.comparison.exhibits import Kind
from manyways.comparison.results import SCATTER_LIMIT, Best, Confusion, Example, Mistake
from manyways.data.columns import Column, id_text
from manyways.data.data import Data
from manyways.data.kinds import TABLE
from manyways.data.targets import StructuredTarget
from manyways.metrics import higher_is_better
from manyways.models.model import Model

MOST_MISTAKES = 24
MOST_EXAMPLES = 12
"""Rows with a structured label that are shown."""
MOST_SCORED = 500
"""Rows that are looked at for them."""
LONGEST_SIDE = 160
"""Pixels of a picture that is shown; larger ones are made smaller."""
LONGEST_SOUND = 4
"""Seconds of a sound that is shown."""
HIGHEST_RATE = 8000
"""Of a sound that is shown, in Hz; of higher ones a whole part is kept."""
MOST_ASKED = 64
"""Prompts that the best language model is asked, to show some that it answers otherwise."""
LONGEST_SHOWN = 64
"""Tokens of those answers."""


def showcase(name: str, model: Model, test: Data) -> Best:
    """Confusions and mistakes of `model` on the rows of `test` whose label is known."""
    known = test.select(test.known)
    target = model.label_target
    if isinstance(target, StructuredTarget):
        return Best(name, examples=examples_of(model, target, known))
    review = target.review(model.outputs(known), target.encode(known, hidden=True), MOST_MISTAKES, SCATTER_LIMIT)
    mistakes = [
        _mistake(known, int(row), truth, predicted, confidence)
        for row, truth, predicted, confidence in zip(
            review.rows, review.truth, review.predicted, review.confidence, strict=True
        )
    ]
    counts = review.confusion
    table = None if counts is None else Confusion(review.classes, tuple(tuple(map(int, row)) for row in counts))
    return Best(name, table, tuple(mistakes), review.pairs)


def examples_of(model: Model, target: StructuredTarget, known: Data) -> tuple[Example, ...]:
    """Rows of `known` with their labels, spread from the worst to the best: half of them are among the worst tenth."""
    known = known.select(np.arange(0, len(known), max(1, len(known) // MOST_SCORED)))
    predicted = model.predictions(known)
    codes, truth = [each.code for each in predicted], target.encode(known, hidden=True)
    scores = np.nan_to_num(target.row_scores(codes, truth, known), nan=np.inf)
    better = 1 if higher_is_better(target.metric) else -1
    order = np.argsort(better * scores, kind="stable")
    worst, rest = np.split(order, [max(1, len(order) // 10)])
    half = MOST_EXAMPLES // 2
    chosen = [each[np.unique(np.linspace(0, len(each) - 1, half).astype(int))] for each in (worst, rest) if len(each)]
    return tuple(
        Example(
            id_text(known.ids[row]),
            target.kind,
            target.example(known.select(np.array([row])), truth[row], codes[row]),
            float(scores[row]),
            predicted[row].confidence,
        )
        for row in np.concatenate(chosen)
    )


def showcase_of_answers(name: str, model: Model, test: Data) -> Best:
    """Mistakes of `model` on rows of a language model: pairs that it sees the other way round, other answers.

    Of running text there is nothing to show.
    """
    if test.has("chosen") and test.has("rejected"):
        margins = model.margins(test)
        wrong = np.flatnonzero(margins < 0)
        shown = wrong[np.argsort(margins[wrong], kind="stable")[:MOST_MISTAKES]]
        mistakes = tuple(_answered(test, int(row), "chosen", _text(test, "rejected", row)) for row in shown)
        heading = "Pairs that {} sees the other way round"
        return Best(name, mistakes=mistakes, heading=heading, called=("chosen", "worth more to it"))
    answered = test.has("prompt") and test.has("completion") and not test.has("label")
    if "generate" not in model.gives or not answered:
        return Best(name)
    prompts = test.select(np.linspace(0, len(test) - 1, min(MOST_ASKED, len(test))).astype(int))
    said = model.generate([_text(prompts, "prompt", row) for row in range(len(prompts))], longest=LONGEST_SHOWN)
    others = [row for row in range(len(prompts)) if said[row].strip() != _text(prompts, "completion", row).strip()]
    mistakes = tuple(_answered(prompts, row, "completion", said[row]) for row in others[:MOST_MISTAKES])
    return Best(name, mistakes=mistakes, heading="Where {} says something else", called=("in the data", "said"))


def _answered(data: Data, row: int, role: str, answer: str) -> Mistake:
    """A prompt with what should have been said and what was."""
    asked = _text(data, "prompt", row) if data.has("prompt") else ""
    return Mistake(id_text(data.ids[row]), _text(data, role, row), answer, "text", asked)


def _text(data: Data, role: str, row: int) -> str:
    return str(data.columns[data.roles[role][0]].take(data.rows[[row]])[0])


def _mistake(data: Data, row: int, truth: str | float, guess: str | float, confidence: float | None) -> Mistake:
    kind, payload = row_shown(data, row)
    residual = guess - truth if isinstance(truth, float) and isinstance(guess, float) else None
    return Mistake(id_text(data.ids[row]), truth, guess, kind, payload, confidence, residual)


def row_shown(data: Data, row: int) -> tuple[Kind, str | dict[str, Any]]:
    """A row of `data` ready to be shown: by its first picture or sound, its only text, or all its columns."""
    rows = data.rows[[row]]
    for column in data.inputs:
        if column.kind == "image":
            return "image", picture(column.take(rows)[0])
        if column.kind == "audio":
            return "audio", sound(column, column.take(rows)[0])
        if column.kind == "text" and len(data.inputs) == 1:
            return "text", str(column.take(rows)[0])
    return "table", {column.name: _cell(column.take(rows)[0]) for column in data.inputs}


def column_shown(data: Data, modality: str, row: int) -> tuple[Kind, str | dict[str, Any]]:
    """One input of a row of `data` ready to be shown, a table by all of its columns."""
    rows = data.rows[[row]]
    if modality not in data.columns:
        columns = [column for column in data.columns.values() if column.of.modality == TABLE]
        return "table", {column.name: _cell(column.take(rows)[0]) for column in columns}
    column = data.columns[modality]
    value = column.take(rows)[0]
    if column.kind == "image":
        return "image", picture(value)
    return ("audio", sound(column, value)) if column.kind == "audio" else ("text", str(value))


def _cell(value: Any) -> Any:
    plain = value.tolist() if isinstance(value, np.generic | np.ndarray) else value
    return ", ".join(f"{number:.4g}" for number in plain[:8]) if isinstance(plain, list) else plain


def picture(pixels: NDArray[np.uint8], longest: int = LONGEST_SIDE) -> str:
    """A picture [channels, height, width] as a data: URI, made smaller where it is longer than `longest` pixels."""
    from PIL import Image

    drawn = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
    whole = max(drawn.size) <= longest
    drawn.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    formats = ("PNG",) if whole and max(drawn.size) <= LONGEST_SIDE // 2 else ("PNG", "JPEG")
    written = {kind: io.BytesIO() for kind in formats}
    for kind, out in written.items():
        drawn.save(out, kind, optimize=True, **({"quality": 85} if kind == "JPEG" else {}))
    kind, smallest = min(written.items(), key=lambda item: item[1].tell())
    return f"data:image/{kind.lower()};base64," + base64.b64encode(smallest.getvalue()).decode()


def sound(column: Column, samples: NDArray[np.int16]) -> str:
    """A sound [samples] of `column` as a data: URI: its first seconds, at a rate that is enough to know it again."""
    import wave

    from scipy.signal import resample_poly

    rate, samples = column.rate or 16000, np.trim_zeros(samples, "b")
    samples = samples[: LONGEST_SOUND * rate]
    if (times := rate // HIGHEST_RATE) > 1:
        samples = np.clip(np.round(resample_poly(samples.astype(np.float64), 1, times)), -32768, 32767)
        rate = rate // times
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return "data:audio/wav;base64," + base64.b64encode(out.getvalue()).decode()
