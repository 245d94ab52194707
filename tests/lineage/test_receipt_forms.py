"""Receipts that are damaged or made up in any place: one clear error each, and never that they hold."""

import base64
import json
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import numpy as np
import pytest

import manyways as mw
from manyways.cli import main
from manyways.errors import ManywaysError, StoreError
from manyways.lineage.forgetting.receipt import receipt_hash, receipt_json
from manyways.lineage.forgetting.receipt_sources import READ
from manyways.lineage.forgetting.verification import Verification
from manyways.methods.discovery import all_methods
from manyways.methods.fields import Named, Written, hints

Place = tuple[str | int, ...]
NOBODY_CHECKS = {"note", "copies", "audit", "seconds", "counted"}
"""What a receipt says for people, or that follows from nothing that a stranger has; docs/receipt.md lists it."""

FOUND = ("bad_rows", "label", "input")


@pytest.fixture
def receipt(table: Path, store: mw.Store) -> dict[str, Any]:
    """A receipt of a model that has forgotten somebody."""
    data = mw.read(table, subject="who").with_test(0.2)
    mw.NaiveBayes().fit(data, run=mw.Run(store=store))
    return json.loads(json.dumps(mw.forget(subject="p1").receipt))  # type: ignore[no-any-return]


def verified(said: Any) -> Verification:
    return mw.verify(said, allow=mw.receipt_sources(said)[0])


def outcome(said: Any) -> tuple[bool, str]:
    """Whether a receipt holds, and what is said; an error other than those of Manyways goes through."""
    try:
        found = verified(said)
    except ManywaysError as error:
        return False, str(error)
    return found.holds, found.conclusion


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """Every member and entry in `value`."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        yield (*at, key)
        yield from places(each, (*at, key))


def changed(said: dict[str, Any], place: Place, *value: Any) -> dict[str, Any]:
    """`said` with another value at `place`, or without what is there, sealed anew."""
    copy: dict[str, Any] = json.loads(json.dumps(said))
    inner: Any = copy
    for key in place[:-1]:
        inner = inner[key]
    if value:
        inner[place[-1]] = value[0]
    else:
        del inner[place[-1]]
    return {**copy, "hash": receipt_hash(copy)} if place != ("hash",) else copy


def test_every_member_that_is_removed_or_replaced_is_found_out(receipt: dict[str, Any]) -> None:
    assert verified(receipt).holds
    every = list(places(receipt))
    assert len(every) >= 100
    for place in every:
        for value in ((), (None,), (7,), (-1,), (10**30,), (0.5,), (True,), ("x",), ("",), ([],), ({},), ([[]],)):
            said = changed(receipt, place, *value)
            if said == receipt:
                continue
            holds, told = outcome(said)
            assert "\n" not in told
            if holds:
                free = NOBODY_CHECKS & {*map(str, place)} or place == ("request", "subject")
                # Reading finds the label, the inputs and what to do with bad rows by itself: what is read is the same.
                free = free or (place[2:4] == ("origin", "options") and place[-1] in FOUND)
                assert free, (place, value, told)


def test_lists_and_texts_of_the_right_kind_that_are_not_so(receipt: dict[str, Any]) -> None:
    """What has the form of a receipt, and says another thing."""
    lineage: Place = ("models", 0, "after", "lineage")
    (key,) = receipt["data"]
    other = "0123456789abcdef" * 4
    for place, value in [
        (("models", 0, "after", "weights"), other),
        ((*lineage, "seed"), 1),
        ((*lineage, "fingerprint"), other[:32]),
        ((*lineage, "budget"), "7 steps"),
        ((*lineage, "rows"), 1),
        ((*lineage, "steps"), 10**9),
        ((*lineage, "title"), "ridge"),
        ((*lineage, "versions", "torch"), "9.9"),
        ((*lineage, "machine", "processor"), "AVX9"),
        ((*lineage, "plan"), {"": [3, 3]}),
        ((*lineage, "facts", "more"), 1),
        (("models", 0, "title"), "ridge"),
        (("models", 0, "rows"), {"forgotten": 0, "given": 26}),
        (("data", key, "fingerprint"), other[:32]),
        (("data", key, "table"), 33),
        (("data", key, "roles"), {}),
        (("data", key, "roles", "subject"), ["x"]),
        (("data", key, "origin", "columns", "x"), ["category", "object"]),
        (("data", key, "origin", "steps"), [["with_clients", {"count": -1}]]),
        (("data", key, "part"), packed(b"\0" * 32)),
        (("data", key, "part"), packed(b"\7" * 32)),
        (("data", key, "part"), packed(bytes(100_000_000))),
        (("data", key, "visible"), packed(bytes(4))),
        (("data", key, "chosen"), packed(np.array([99], "<i4").tobytes())),
        (("data", key, "used"), f"32:{packed(bytes(4))}"),
        (("data", key, "used"), f"{'9' * 400}:"),
        (("data", key, "name"), "another"),
        (("request", "how"), "npo"),
        (("request", "how"), "no method at all"),
        (("time",), "2026-01-01T00:00:00"),
    ]:
        said = changed(receipt, place, value)
        assert not outcome(said)[0], place


def packed(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content)).decode()


def test_what_makes_it_checkable_must_be_stated(receipt: dict[str, Any]) -> None:
    lineage: Place = ("models", 0, "after", "lineage")
    for place in [(*lineage, "versions"), (*lineage, "machine")]:
        with pytest.raises(StoreError, match=f"`{place[-1]}` of .* does not state .* so the receipt is refused"):
            mw.verify(changed(receipt, place, {}))
    (key,) = receipt["data"]
    for place in [(*lineage, "fingerprint"), ("data", key, "fingerprint")]:
        with pytest.raises(StoreError, match="must be a fingerprint"):
            mw.verify(changed(receipt, place, ""))


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "is no JSON"),
        (b"\xff\xfe", "is no JSON"),
        (b"[" * 100_000, "nested deeper"),
        (b'{"schema": ' * 200 + b"1" + b"}" * 200, "nested deeper"),
        (b'{"schema": ' + b"9" * 5000 + b"}", "is no JSON"),
        (b'{"schema": "\\ud800"}', "surrogate"),
        (b'[{"schema": "manyways.receipt/1"}]', "must be an object"),
        (b"null", "must be an object"),
        (b'{"schema": "manyways.receipt/1"}', "has been edited since it was written"),
        (b'{"schema": ["manyways.receipt/1"]}', "its schema is list of 1"),
    ],
)
def test_files_that_are_no_receipt(content: bytes, match: str, tmp_path: Path) -> None:
    path = tmp_path / "receipt.json"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=match):
        mw.verify(path)


def test_what_it_would_read_is_said_and_asked(
    receipt: dict[str, Any], table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    path = tmp_path / "receipt.json"
    path.write_text(receipt_json(receipt), encoding="utf-8")
    assert mw.receipt_sources(path) == ([str(table)], 0)
    with pytest.raises(StoreError, match=f"makes this machine read '{table}', which nobody has agreed to"):
        mw.verify(path)
    assert mw.verify(path, data=mw.read(table, subject="who")).holds, "what is given need not be read"
    assert mw.receipt_sources(path, mw.read(table, subject="who")) == ([], 0)
    words = ["verify", str(path)]
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    assert main(words) == 2
    err = capsys.readouterr().err
    assert str(table) in err
    assert "Nobody can be asked. Nothing was read. Agree to it with --yes." in err
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    for answer, code in (("n\n", 2), ("\n", 2), ("", 2), ("y\n", 0)):
        monkeypatch.setattr(sys.stdin, "readline", lambda said=answer: said, raising=False)
        assert main(words) == code
        out = capsys.readouterr().out
        assert f"  {table}\nand learn 1 model, for 0 steps in all.\nGo on? [y/N]" in out
        assert ("The receipt holds." in out) == (code == 0)
    assert main([*words, "--yes"]) == 0


def test_a_receipt_does_not_act_on_the_terminal(
    receipt: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hidden = "\x1b[2K\x1b[1A\u202egnp.exe\r\n  harmless.csv"
    (key,) = receipt["data"]
    said = changed(receipt, ("data", key, "origin", "source"), hidden)
    said = changed(changed(said, ("models", 0, "title"), hidden), ("request", "subject"), hidden)
    path = tmp_path / "receipt.json"
    path.write_text(receipt_json(said), encoding="utf-8")
    assert main(["verify", str(path)]) == 2
    assert main(["verify", str(path), "--yes"]) == 1
    shown = capsys.readouterr()
    for text in (shown.out, shown.err):
        assert r"␛[2K␛[1A\u202egnp.exe␍␊  harmless.csv" in text
        assert not {"\x1b", "\u202e", "\r"} & set(text)


def test_what_else_a_process_has_imported_makes_no_difference(
    receipt: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Versions of further packages are noted where they are loaded, and a checker may have loaded others."""
    monkeypatch.setattr("manyways.models.lineage.IN_USE", ("pytest",))
    assert verified(receipt).holds
    stated = receipt["models"][0]["after"]["lineage"]["versions"]
    older = changed(receipt, ("models", 0, "after", "lineage", "versions"), {**stated, "torch": "1.0"})
    assert not verified(older).holds


def test_every_text_of_a_method_is_known_to_be_read_or_not() -> None:
    """A new field whose text is a path or a name of the Hub must be among those that are asked about."""
    inert = {"only", "lora_modules", "classes", "template", "label", "metric", "label_weights", "view", "negative"}
    inert |= {"grid", "space"}  # their texts stand under the names of the fields that they are for
    for name, kind in all_methods().items():
        for field, annotation in hints(kind).items():
            if field in {each.name for each in fields(kind)} and holds_text(annotation):
                assert field in READ | inert, f"{name}.{field}: is its text read?"


def holds_text(annotation: Any) -> bool:
    """Whether a field may hold any text; one of a few words, or a function of text, is none."""
    if get_origin(annotation) in (Literal, Callable) or any(
        isinstance(part, Named | Written) for part in get_args(annotation)
    ):
        return False
    return annotation is str or any(map(holds_text, get_args(annotation)))


def test_everything_that_a_method_names_is_asked_about(receipt: dict[str, Any], table: Path) -> None:
    chain = {
        "name": "chain",
        "stages": [
            mw.Tune(method=mw.FineTune(), grid={"backbone": ["resnet", "mini"]}).to_json(),
            {**mw.Pretrain().to_json(), "checkpoint": "gpt-x"},
            {**mw.SFT().to_json(), "checkpoint": "/home/you/.ssh"},
            {**mw.Merge(models=("a", "b")).to_json(), "models": ["one", "two/three"], "base": "zero"},
            {**mw.FineTune().to_json(), "backbone": "owner/backbone"},
            {**mw.FineTune().to_json(), "backbone": "convnet"},
        ],
        "shares": None,
    }
    said = changed(receipt, ("models", 0, "after", "lineage", "method"), chain)
    (key,) = said["data"]
    said = changed(said, ("data", key, "origin", "options", "test"), "other/test.csv")
    named = ["mini", "gpt-x", "/home/you/.ssh", "one", "two/three", "zero", "owner/backbone"]
    expected = [str(table), "other/test.csv", *named]
    assert mw.receipt_sources(said)[0] == expected
    with pytest.raises(StoreError, match="'owner/backbone', which nobody has agreed to"):
        mw.verify(said, allow=expected[:-1])
