"""JSON that anybody may have written."""

import json
from pathlib import Path

import pytest

from manyways.checked_json import DEEPEST, described, parse, read
from manyways.errors import StoreError

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"a": 1', "is no JSON"),
        (b"", "is no JSON"),
        (b'{"a": "\xff"}', "is no JSON"),
        (b'{"a": ' + b"1" * 5000 + b"}", "is no JSON"),
        (b"[" * 100_000 + b"]" * 100_000, "nested deeper"),
        (b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1), "nested deeper"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"\\udfff": 1}', "surrogate"),
    ],
)
def test_damaged_json_is_one_error(text: bytes, said: str) -> None:
    with pytest.raises(StoreError, match=said) as raised:
        parse(text, "the note", StoreError)
    assert str(raised.value).startswith("the note ")
    assert len(str(raised.value).splitlines()) == 1


def test_members_are_held_to_their_types() -> None:
    note = described(
        json.loads('{"n": 3, "x": 1, "on": true, "none": null, "parts": [{"n": 1}, 2]}'), "the note", StoreError
    )
    assert note.get("n", int) == 3
    assert note.get("x", float) == 1.0
    assert note.get("on", bool) is True
    assert note.get("none", str, None) is None
    assert note.get("absent", int, 7) == 7
    for key, kind, said in [
        ("absent", str, "the note lacks `absent`, text"),
        ("on", int, "`on` of the note must be a whole number, and is true"),
        ("n", bool, "`n` of the note must be true or false, and is 3"),
        ("none", dict, "`none` of the note must be an object, and is null"),
    ]:
        with pytest.raises(StoreError, match=said):
            note.get(key, kind)
    with pytest.raises(StoreError, match="entry 1 of `parts` of the note must be an object, and is 2"):
        note.objects("parts")


def test_a_file_is_read_within_bounds(tmp_path: Path) -> None:
    path = tmp_path / "note.json"
    path.write_text('{"b": 1, "a": 2}', encoding="utf-8")
    assert list(read(path, "the note", StoreError).members) == ["b", "a"]
    with pytest.raises(StoreError, match="larger than 0 MB"):
        read(path, "the note", StoreError, most=5)
    with pytest.raises(StoreError, match="cannot be read"):
        read(tmp_path, "the note", StoreError)
