"""Encoders: fitted on training rows alone, and able to take rows of another size, rate or content."""

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from manyways.data import storage
from manyways.data.columns import Column
from manyways.data.encoders import ENCODERS, fit_encoder
from manyways.data.encoders.audio import AudioEncoder
from manyways.data.encoders.categories import HASHES, MOST_FEATURES, ONE_HOT, CategoryCode
from manyways.data.encoders.images import ImageEncoder
from manyways.data.encoders.table import NumberCode, TableEncoder
from manyways.data.encoders.text import TextEncoder
from manyways.data.specs import AudioSpec, ImageSpec, TableSpec
from manyways.errors import DataError


def objects(*values: Any) -> NDArray[Any]:
    out = np.empty(len(values), object)
    out[:] = values
    return out


ALL = np.arange(1000)

# --- tables --------------------------------------------------------------------------------------


def test_numbers_are_standardised_by_training_rows_alone() -> None:
    column = Column("x", "number", np.array([1.0, 3.0, 5.0, 1000.0]))
    encoder = TableEncoder.fit([column], np.array([0, 1, 2]))
    found = encoder.encode([column], np.arange(4))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[:3, 0], [-1.2247449, 0, 1.2247449], rtol=1e-6)
    assert found[3, 0] == 8, "a wild cell is cut at eight standard deviations"


def test_statistics_do_not_depend_on_how_many_rows_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(5, 3, (999, 4))
    values[7, 2] = np.nan
    column = Column("x", "number", values)
    (whole,) = TableEncoder.fit([column], ALL[:999]).codes
    monkeypatch.setattr(storage, "CHUNK_BYTES", 500)
    (pieces,) = TableEncoder.fit([column], ALL[:999]).codes
    assert isinstance(whole, NumberCode)
    assert isinstance(pieces, NumberCode)
    np.testing.assert_allclose(whole.mean, pieces.mean, rtol=1e-12)
    np.testing.assert_allclose(whole.scale, pieces.scale, rtol=1e-12)
    np.testing.assert_allclose(whole.mean, np.nanmean(values, axis=0), rtol=1e-12)
    np.testing.assert_allclose(whole.scale, np.nanstd(values, axis=0), rtol=1e-12)


@pytest.mark.parametrize("constant", [0.0, 7.0, 1e9 + 0.1])
def test_a_constant_number_is_zero(constant: float) -> None:
    column = Column("x", "number", np.full(50, constant))
    encoder = TableEncoder.fit([column], np.arange(50))
    assert np.abs(encoder.encode([column], np.arange(50))).max() < 1e-6


def test_a_wide_column_is_one_group_per_number() -> None:
    wide = Column("x", "number", np.random.default_rng(0).normal(size=(20, 3)) * [1, 10, 100])
    kind = Column("k", "category", objects(*"ab" * 10))
    encoder = TableEncoder.fit([wide, kind], np.arange(20))
    assert encoder.spec == TableSpec(5, ((0, 1), (1, 2), (2, 3), (3, 5)), (0, 1, 2))
    np.testing.assert_allclose(encoder.encode([wide, kind], np.arange(20))[:, :3].std(axis=0), 1, rtol=1e-5)
    with pytest.raises(DataError, match="The column 'x' has 2 numbers a row; the model expects 3"):
        encoder.encode([Column("x", "number", np.zeros((20, 2))), kind], np.arange(20))


def test_categories_are_one_hot_and_unknown_ones_all_zeros() -> None:
    column = Column("k", "category", objects("red", "blue", "red", None))
    encoder = TableEncoder.fit([column], np.array([0, 1, 2]))
    new = Column("k", "category", objects("blue", "green", "red", None))
    assert encoder.encode([new], np.arange(4)).tolist() == [[1, 0], [0, 0], [0, 1], [0, 0]]


def test_a_category_that_only_test_rows_have_is_unknown() -> None:
    column = Column("k", "category", objects("a", "b", "c"))
    encoder = TableEncoder.fit([column], np.array([0, 1]))
    assert encoder.spec.width == 2
    assert encoder.encode([column], np.array([2])).tolist() == [[0, 0]]


def many(count: int, name: str = "k") -> Column:
    return Column(name, "category", objects(*(f"c{at}" for at in range(count))))


def test_up_to_1024_categories_have_a_feature_each() -> None:
    column = many(ONE_HOT)
    encoder = TableEncoder.fit([column], np.arange(ONE_HOT))
    assert encoder.spec == TableSpec(ONE_HOT, ((0, ONE_HOT),), ())
    assert np.array_equal(np.sort(encoder.encode([column], np.arange(ONE_HOT)).argmax(1)), np.arange(ONE_HOT))


def test_more_categories_share_features_by_several_hashes() -> None:
    column = many(10_000)
    rows = np.arange(9_900)
    encoder = TableEncoder.fit([column], rows)
    (code,) = encoder.codes
    assert isinstance(code, CategoryCode)
    assert code.width == ONE_HOT
    each = ONE_HOT // HASHES
    groups = tuple((at * each, (at + 1) * each) for at in range(HASHES))
    assert encoder.spec == TableSpec(ONE_HOT, groups, (), (0,) * HASHES)
    found = encoder.encode([column], np.arange(10_000))
    for start, stop in groups:
        assert (found[:9_900, start:stop].sum(1) == 1).all(), "a group is no one-hot code"
    assert len(np.unique(found[:9_900], axis=0)) == 9_900, "two categories have one code"
    assert not found[9_900:].any(), "a category that training never saw is all zeros"
    again = TableEncoder.from_json(json.loads(json.dumps(encoder.to_json())))
    assert again == encoder
    assert again.decode(found[:100])[0].tolist() == [f"c{at}" for at in range(100)]


def test_a_code_by_hashes_follows_from_the_category_alone() -> None:
    """Other rows, in another order, give what both have the same code, in every version and process."""
    column = many(3000)
    first = TableEncoder.fit([column], np.arange(2000))
    second = TableEncoder.fit([column], np.arange(1000, 3000)[::-1])
    both = np.arange(1000, 2000)
    assert np.array_equal(first.encode([column], both), second.encode([column], both))
    assert np.flatnonzero(first.encode([column], np.array([7]))[0]).tolist() == [78, 362, 584, 858]


def test_many_columns_of_many_categories_stay_narrow() -> None:
    columns = [many(2000, f"k{at}") for at in range(9)]
    encoder = TableEncoder.fit(columns, np.arange(2000))
    assert encoder.spec.width <= MOST_FEATURES
    few = TableEncoder.fit([*columns, Column("x", "category", objects(*"ab" * 1000))], np.arange(2000))
    assert few.codes[-1] == CategoryCode("x", ("a", "b"))


def test_a_category_is_the_same_however_it_is_written() -> None:
    ways = [
        np.array([1, 0]), np.array([1.0, 0.0]), np.array([True, False]), objects("1", "0"), objects("1.0", "0.0"),
        objects(True, False), objects("True", "False"), objects("true", "false"), objects(" 1", "0 "),
    ]  # fmt: skip
    for learned in ways:
        encoder = TableEncoder.fit([Column("k", "category", learned)], np.arange(2))
        assert encoder.spec.width == 2
        codes = [encoder.encode([Column("k", "category", asked)], np.arange(2)).tolist() for asked in ways]
        assert codes == [codes[0]] * len(ways)
        assert np.array_equal(np.sum(codes[0], axis=0), [1, 1])


def test_whole_numbers_and_truth_values_may_be_categories() -> None:
    column = Column("k", "category", np.array([3, 1, 3, 2]))
    encoder = TableEncoder.fit([column], np.arange(4))
    assert encoder.encode([column], np.arange(4)).tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 1], [0, 1, 0]]


def test_what_is_no_number_is_refused() -> None:
    good = Column("x", "number", np.array([1.0, 2.0, 3.0]))
    encoder = TableEncoder.fit([good], np.arange(3))
    with pytest.raises(DataError, match=r"'x' is NaN or infinite in 2 rows, the first at 1\. .*bad_rows=\"skip\""):
        encoder.encode([Column("x", "number", np.array([1.0, np.nan, np.inf]))], np.arange(3))
    with pytest.raises(DataError, match="The column 'x' must hold numbers, .* in 1 of 3 rows .* 'two' at 1"):
        encoder.encode([Column("x", "category", objects("1", "two", "3"))], np.arange(3))


# --- images --------------------------------------------------------------------------------------


def test_images_of_the_right_size_pass_through() -> None:
    values = np.random.default_rng(0).integers(0, 256, (5, 3, 6, 4), np.uint8)
    column = Column("image", "image", values)
    encoder = ImageEncoder.fit([column], ALL)
    assert encoder.spec == ImageSpec(3, 6, 4)
    assert encoder.already_encoded([column])
    assert np.array_equal(encoder.encode([column], np.arange(5)), values)


def test_other_images_are_resized_when_predicting() -> None:
    encoder = ImageEncoder("image", ImageSpec(1, 4, 4))
    smooth = np.full((2, 1, 16, 16), 200, np.uint8)
    smooth[1, :, :, 8:] = 100
    column = Column("image", "image", smooth)
    assert not encoder.already_encoded([column])
    found = encoder.encode([column], np.arange(2))
    assert found.dtype == np.uint8
    assert found.shape == (2, 1, 4, 4)
    assert (found[0] == 200).all()
    assert (found[1, 0, :, 0] == 200).all()
    assert (found[1, 0, :, 3] == 100).all()


def test_grey_becomes_rgb_and_rgb_grey() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (3, 1, 2, 2), np.uint8)
    as_rgb = ImageEncoder("image", ImageSpec(3, 2, 2)).encode([Column("image", "image", grey)], np.arange(3))
    assert np.array_equal(as_rgb, grey.repeat(3, axis=1))
    colours = np.random.default_rng(1).integers(0, 256, (3, 3, 2, 2), np.uint8)
    as_grey = ImageEncoder("image", ImageSpec(1, 2, 2)).encode([Column("image", "image", colours)], np.arange(3))
    assert np.abs(as_grey[:, 0] - colours.mean(axis=1)).max() <= 0.5


def test_rows_are_taken_in_the_order_asked() -> None:
    values = np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1).repeat(2, 2)
    encoder = ImageEncoder("image", ImageSpec(3, 2, 1))
    assert encoder.encode([Column("image", "image", values)], np.array([2, 0]))[:, 0, 0, 0].tolist() == [2, 0]


def test_a_column_of_another_kind_is_no_image() -> None:
    encoder = ImageEncoder("image", ImageSpec(1, 2, 2))
    with pytest.raises(DataError, match="The column 'image' holds number, but the model was trained on images"):
        encoder.already_encoded([Column("image", "number", np.zeros(3))])


# --- sound ---------------------------------------------------------------------------------------


def tone(rate: int, seconds: float, pitch: float = 200) -> NDArray[np.int16]:
    return (10000 * np.sin(2 * np.pi * pitch * np.arange(round(rate * seconds)) / rate)).astype(np.int16)[None]


def test_sound_of_the_right_rate_passes_through() -> None:
    column = Column("audio", "audio", tone(8000, 0.5), 8000)
    encoder = AudioEncoder.fit([column], ALL)
    assert encoder.spec == AudioSpec(8000, 4000)
    assert encoder.already_encoded([column])
    assert np.array_equal(encoder.encode([column], np.array([0])), column.values[np.array([0])])


@pytest.mark.parametrize("rate", [4000, 11025, 16000, 44100])
def test_another_rate_is_resampled_to_the_same_sound(rate: int) -> None:
    encoder = AudioEncoder("audio", AudioSpec(8000, 4000))
    column = Column("audio", "audio", tone(rate, 0.5), rate)
    assert not encoder.already_encoded([column])
    found = encoder.encode([column], np.array([0]))[0].astype(float)
    wanted = tone(8000, 0.5)[0].astype(float)
    middle = slice(400, -400)
    assert np.abs(found[middle] - wanted[middle]).max() < 300, "the pitch or the loudness is another"


def test_longer_sound_is_cut_and_shorter_padded_with_silence() -> None:
    encoder = AudioEncoder("audio", AudioSpec(8000, 100))
    short = encoder.encode([Column("audio", "audio", np.full((1, 60), 5, np.int16), 8000)], np.array([0]))
    assert short[0].tolist() == [5] * 60 + [0] * 40
    long = encoder.encode([Column("audio", "audio", np.arange(200, dtype=np.int16)[None], 8000)], np.array([0]))
    assert long[0].tolist() == list(range(100))


def test_loud_sound_is_clipped_and_never_wraps() -> None:
    square = np.where(np.arange(800) // 20 % 2, 32767, -32768).astype(np.int16)[None]
    found = AudioEncoder("audio", AudioSpec(8000, 1600)).encode([Column("a", "audio", square, 4000)], np.array([0]))[0]
    rising = found[400:1200].reshape(-1, 40).astype(int)
    assert np.abs(np.sign(rising.mean(axis=1)).sum()) <= 1
    assert (np.abs(rising[:, 15:25]) > 25000).all(), "a peak above full scale wrapped to the other sign"


def test_a_column_of_another_kind_is_no_sound() -> None:
    encoder = AudioEncoder("audio", AudioSpec(8000, 100))
    with pytest.raises(DataError, match="The column 'audio' holds text, but the model was trained on sound"):
        encoder.already_encoded([Column("audio", "text", objects("a"))])


# --- text ----------------------------------------------------------------------------------------

SENTENCES = [f"the {noun} {verb} over the lazy dog" for noun in ("fox", "cat", "cow") for verb in ("jumps", "runs")]


def texts(*values: str | None) -> Column:
    return Column("says", "text", objects(*values))


def fitted(*more: str) -> TextEncoder:
    column = texts(*SENTENCES * 5, *more)
    return TextEncoder.fit([column], np.arange(30))


def decoded(encoder: TextEncoder, ids: NDArray[np.int32]) -> str:
    pieces = [encoder.tokenizer.id_to_token(int(each)) for each in ids]
    return "".join(piece for piece in pieces if piece not in ("[PAD]", "[START]")).replace("▁", " ").strip()


def test_text_begins_with_start_is_padded_and_reads_back() -> None:
    encoder = fitted()
    found = encoder.encode([texts("the cow", SENTENCES[0])], np.arange(2))
    assert found.dtype == np.int32
    assert found.shape == (2, encoder.text.length)
    assert (found[:, 0] == 3).all()
    used = int((found[0] != 0).sum())
    assert not found[0, used:].any()
    assert decoded(encoder, found[0]) == "the cow"
    assert decoded(encoder, found[1]) == SENTENCES[0]
    assert found.max() < encoder.text.vocabulary


def test_longer_text_is_cut_at_the_length_of_training() -> None:
    encoder = fitted()
    found = encoder.encode([texts(" ".join(SENTENCES))], np.array([0]))
    assert found.shape == (1, encoder.text.length)
    assert (found != 0).all()
    assert decoded(encoder, found[0]) == SENTENCES[0][: len(decoded(encoder, found[0]))]


def test_the_length_and_the_words_are_those_of_training_rows_alone() -> None:
    plain, with_test = fitted(), fitted("zyzzyva " * 300)
    assert plain.to_json() == with_test.to_json()
    unknown = plain.encode([texts("жж")], np.array([0]))[0]
    assert unknown[0] == 3
    assert 1 in unknown, "a letter that training never saw is no unknown token"


def test_empty_and_missing_text_is_the_start_alone() -> None:
    found = fitted().encode([texts("", None)], np.arange(2))
    assert found[:, 0].tolist() == [3, 3]
    assert not found[:, 1:].any()


def test_the_same_text_gives_the_same_tokenizer() -> None:
    assert fitted().tokenizer_json == fitted().tokenizer_json
    assert fitted().key() == fitted().key()


def test_case_and_form_of_letters_do_not_matter() -> None:
    found = fitted().encode([texts("THE FOX", "the fox", "ｔｈｅ fox")], np.arange(3))
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


def test_a_column_of_another_kind_is_no_text() -> None:
    with pytest.raises(DataError, match="The column 'says' holds image, but the model was trained on text"):
        fitted().encode([Column("says", "image", np.zeros((1, 1, 2, 2), np.uint8))], np.array([0]))


# --- all -----------------------------------------------------------------------------------------

COLUMNS = [
    Column("x", "number", np.arange(30.0)),
    Column("k", "category", objects(*"abc" * 10)),
    Column("image", "image", np.zeros((30, 1, 4, 4), np.uint8)),
    Column("audio", "audio", np.zeros((30, 100), np.int16), 8000),
    texts(*SENTENCES * 5),
]


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.kind)
def test_every_kind_has_an_encoder_that_travels_as_json(column: Column) -> None:
    encoder = fit_encoder([column], np.arange(30))
    assert encoder.columns == (column.name,)
    back = ENCODERS.find(encoder.kind).from_json(encoder.to_json())
    assert back.spec == encoder.spec
    assert back.key() == encoder.key()
    rows = np.array([5, 0])
    assert np.array_equal(back.encode([column], rows), encoder.encode([column], rows))
