"""The best entry seen closely: every count, mistake and picture is that of the rows themselves."""

import base64
import io
import wave
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from manyways.comparison.showcase import (
    HIGHEST_RATE,
    LONGEST_SIDE,
    LONGEST_SOUND,
    MOST_MISTAKES,
    picture,
    showcase,
    sound,
)
from manyways.data.columns import Column, id_text
from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.targets import NumberTarget, Target
from manyways.models.lineage import Lineage
from manyways.models.model import Model
from manyways.models.predictor import Predictor


class Fixed(torch.nn.Module):
    """Answers with outputs that were fixed beforehand, row by row in the order of the data."""

    def __init__(self, outputs: NDArray[Any]) -> None:
        super().__init__()
        self.register_buffer("answers", torch.from_numpy(np.asarray(outputs, np.float32)))
        self.head, self.at = torch.nn.Identity(), 0
        self.parts, self.may_lack = (), False

    def features(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        return self(inputs)

    def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        count = len(next(iter(inputs.values())))
        self.at += count
        return self.answers[self.at - count : self.at]


def model_of(data: Data, outputs: NDArray[Any]) -> Model:
    """A model that gives `outputs` for the test rows of `data` with a label."""
    gives = frozenset({"classify" if data.classification else "regress"})
    network: Any = Fixed(outputs)
    return Predictor(
        network=network,
        inputs=InputEncoding.fit(data),
        target=Target.fit(data),
        gives=gives,
        lineage=Lineage({}, "fixed", 0, "", "", ""),
    )


def table(column: Column, labels: list[Any], kind: Any = "category") -> Data:
    """Data of one input: the first half trains, the second half tests."""
    values = np.array(labels, object if kind == "category" else float)
    part = np.repeat([0, 2], len(labels) // 2).astype(np.uint8)
    columns = [column, Column("y", kind, values)]
    return Data.from_columns(columns, {"input": [column.name], "label": ["y"]}, part=part, name="toy")


def logits(guess: list[int], sure: list[float]) -> NDArray[np.float64]:
    """Outputs of two classes that say `guess` with the probability `sure`."""
    return np.array(
        [[np.log(p), np.log(1 - p)] if g == 0 else [np.log(1 - p), np.log(p)] for g, p in zip(guess, sure, strict=True)]
    )


NUMBERS = Column("x", "number", np.arange(12.0))


def test_confusion_counts_true_by_predicted() -> None:
    data = table(NUMBERS, ["a", "b"] * 3 + ["a", "a", "b", "b", "b", "a"])
    best = showcase("it", model_of(data, logits([0, 1, 1, 0, 1, 0], [0.9] * 6)), data.test)
    assert best.name == "it"
    assert best.confusion is not None
    assert best.confusion.classes == ("a", "b")
    assert best.confusion.counts == ((2, 1), (1, 2))


def test_mistakes_are_the_surest_first_and_name_their_rows() -> None:
    data = table(NUMBERS, ["a", "b"] * 3 + ["a"] * 5 + ["b"])
    best = showcase("it", model_of(data, logits([1, 0, 1, 0, 1, 1], [0.6, 0.99, 0.9, 0.9, 0.8, 0.9])), data.test)
    assert [mistake.confidence for mistake in best.mistakes] == pytest.approx([0.9, 0.8, 0.6])
    assert [(mistake.truth, mistake.predicted) for mistake in best.mistakes] == [("a", "b")] * 3
    assert [mistake.payload for mistake in best.mistakes] == [{"x": 8.0}, {"x": 10.0}, {"x": 6.0}]
    assert best.mistakes[0].row == id_text(data.ids[8])


def test_rows_without_a_label_are_left_out() -> None:
    data = table(NUMBERS, ["a", "b"] * 3 + ["a", None, "b", None, "b", "a"])
    best = showcase("it", model_of(data, logits([0, 1, 1, 0], [0.9] * 4)), data.test)
    assert best.confusion is not None
    assert sum(map(sum, best.confusion.counts)) == 4


def test_at_most_so_many_mistakes() -> None:
    count = 2 * (MOST_MISTAKES + 10)
    data = table(Column("x", "number", np.arange(float(count))), ["a", "b"] * (count // 2))
    best = showcase("it", model_of(data, logits([1, 0] * (count // 4), [0.9] * (count // 2))), data.test)
    assert len(best.mistakes) == MOST_MISTAKES


def test_a_number_is_shown_by_its_residuals() -> None:
    data = table(NUMBERS, [0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "number")
    target = Target.fit(data)
    assert isinstance(target, NumberTarget)
    guess = np.array([1.0, 2.5, 3.0, 1.0, 5.0, 6.0])
    best = showcase("it", model_of(data, ((guess - target.mean) / target.scale)[:, None]), data.test)
    assert best.confusion is None
    first, second = best.mistakes[:2]
    assert (first.truth, first.predicted, first.residual) == pytest.approx((4.0, 1.0, -3.0), abs=1e-5)
    assert (second.truth, second.residual) == pytest.approx((2.0, 0.5), abs=1e-5)
    assert second.confidence is None
    assert np.array(best.scatter) == pytest.approx(np.stack([np.arange(1.0, 7.0), guess], 1), abs=1e-5)


def decoded(payload: Any, start: str) -> bytes:
    """The bytes in a data: URI."""
    assert payload.startswith(start)
    return base64.b64decode(payload.removeprefix(start))


@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_is_shown_pixel_by_pixel(channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, channels, 5, 7), np.uint8)
    data = table(Column("photo", "image", pixels), ["a", "b", "a", "b"])
    best = showcase("it", model_of(data, logits([0, 0], [0.9, 0.9])), data.test)
    mistake = best.mistakes[0]
    assert mistake.kind == "image"
    shown = np.asarray(Image.open(io.BytesIO(decoded(mistake.payload, "data:image/png;base64,"))))
    assert np.array_equal(
        shown if channels == 1 else shown.transpose(2, 0, 1), pixels[3][0] if channels == 1 else pixels[3]
    )


def test_a_sound_is_heard_without_its_padding() -> None:
    sound = np.random.default_rng(0).integers(-9000, 9000, (4, 100)).astype(np.int16)
    sound[3, 80:] = 0
    data = table(Column("call", "audio", sound, 8000), ["a", "b", "a", "b"])
    best = showcase("it", model_of(data, logits([0, 0], [0.9, 0.9])), data.test)
    with wave.open(io.BytesIO(decoded(best.mistakes[0].payload, "data:audio/wav;base64,"))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
        assert np.array_equal(np.frombuffer(file.readframes(200), "<i2"), sound[3, :80])


def test_a_text_alone_is_shown_and_beside_others_is_a_cell() -> None:
    words = np.array(["one two three", "four five six", "seven eight nine", "ten eleven twelve"], object)
    data = table(Column("says", "text", words), ["a", "b", "a", "b"])
    best = showcase("it", model_of(data, logits([0, 0], [0.9, 0.9])), data.test)
    assert (best.mistakes[0].kind, best.mistakes[0].payload) == ("text", "ten eleven twelve")

    wide = Column("wide", "number", np.arange(40.0).reshape(4, 10))
    both = replace(data, columns={**data.columns, "wide": wide}, roles={**data.roles, "input": ("says", "wide")})
    best = showcase("it", model_of(both, logits([0, 0], [0.9, 0.9])), both.test)
    cells = {"says": "ten eleven twelve", "wide": "30, 31, 32, 33, 34, 35, 36, 37"}
    assert (best.mistakes[0].kind, best.mistakes[0].payload) == ("table", cells)


def test_a_large_picture_is_made_smaller() -> None:
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 255, (3, 400, 600), dtype=np.uint8)
    kind, _, coded = picture(photo).partition(";base64,")
    drawn = Image.open(io.BytesIO(base64.b64decode(coded)))
    assert drawn.size == (LONGEST_SIDE, round(LONGEST_SIDE * 2 / 3))
    assert kind == "data:image/jpeg", "of noise, a PNG would be far larger"
    assert len(coded) < 40_000


def test_a_small_picture_is_kept_to_the_pixel() -> None:
    pixels = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)
    kind, _, coded = picture(pixels).partition(";base64,")
    assert kind == "data:image/png"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(coded)))), pixels[0])


def test_a_long_sound_is_cut_and_a_fine_one_made_coarser() -> None:
    rate = 44_100
    time = np.arange(6 * rate) / rate
    column = Column("heard", "audio", np.zeros((1, 4), np.int16), rate=rate)
    samples = (20_000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)
    coded = sound(column, samples).partition(";base64,")[2]
    with wave.open(io.BytesIO(base64.b64decode(coded))) as file:
        assert HIGHEST_RATE <= file.getframerate() < 2 * HIGHEST_RATE
        assert file.getnframes() / file.getframerate() == pytest.approx(LONGEST_SOUND, abs=0.01)
        heard = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)
        rate_now = file.getframerate()
    loudest = np.abs(np.fft.rfft(heard)).argmax() * rate_now / len(heard)
    assert loudest == pytest.approx(440, abs=2), "it is the same tone"
