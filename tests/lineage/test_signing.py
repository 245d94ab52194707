"""Signatures of receipts: who wrote them, and that nothing has changed since."""

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import manyways as mw
from manyways.cli import main
from manyways.errors import NeedsError, StoreError
from manyways.lineage.forgetting.receipt import read_receipt, receipt_hash, receipt_json, signed_bytes
from manyways.lineage.forgetting.signature import PREFIX, read_key, read_public, sign_receipt, write_key_pair

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a table of people, and a model in the store that was learned from it."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    lines = [f"{rng.normal():.4f},p{at % 5},{'ab'[at % 2]}" for at in range(40)]
    (tmp_path / "people.csv").write_text("x,who,label\n" + "\n".join(lines) + "\n", encoding="utf-8")
    mw.Ridge().fit(mw.read("people.csv", subject="who"), run=mw.Run(store=mw.Store()))
    return tmp_path


@pytest.fixture
def receipt(here: Path) -> Path:
    """A receipt that `key` has signed."""
    assert main(["keys", "make", "key"]) == 0
    assert main(["forget", "--subject", "p1", "--yes", "--sign", "key", "--receipt", "receipt.json"]) == 0
    return here / "receipt.json"


def test_a_signed_receipt_is_verified(receipt: Path, capsys: Capture) -> None:
    said = read_receipt(receipt, exact=True)
    assert said["signature"]["algorithm"] == "Ed25519"
    assert said["signature"]["public_key"] == read_public("key.pub")
    assert main(["verify", "receipt.json", "--yes", "--key", "key.pub"]) == 0
    assert main(["verify", "receipt.json", "--yes", "--key", read_public("key.pub")]) == 0
    capsys.readouterr()
    assert main(["verify", "receipt.json", "--yes"]) == 0
    assert f"It says that {read_public('key.pub')} signed it, which was not checked" in capsys.readouterr().out


def test_what_is_signed_is_as_documented(receipt: Path) -> None:
    """By the library alone, as somebody else would check it."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    said: dict[str, Any] = json.loads(receipt.read_text(encoding="utf-8"))
    rest = {name: said[name] for name in said if name not in ("hash", "signature")}
    content = b"manyways.receipt signature\n" + json.dumps(rest, sort_keys=True).encode("utf-8")
    assert content == PREFIX + signed_bytes(said)
    key: Any = load_pem_public_key(Path("key.pub").read_bytes())
    key.verify(bytes.fromhex(said["signature"]["value"]), content)


def test_a_changed_byte_is_found_out(receipt: Path) -> None:
    whole, public = receipt.read_bytes(), read_public("key.pub")
    for at in range(0, len(whole), 9):
        receipt.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(StoreError):
            mw.verify(receipt, key=public, data=[])
    for other in (whole[:-1], whole + b"\n", whole.replace(b"\n", b"\n ", 1), whole.replace(b"{", b'{"time": "x",', 1)):
        receipt.write_bytes(other)
        with pytest.raises(StoreError):
            mw.verify(receipt, key=public)


def test_a_receipt_that_was_changed_and_sealed_anew(receipt: Path, capsys: Capture) -> None:
    said = read_receipt(receipt)
    said["time"] = "2020-01-01T00:00:00+00:00"
    receipt.write_text(receipt_json({**said, "hash": receipt_hash(said)}), encoding="utf-8")
    assert main(["verify", "receipt.json", "--yes", "--key", "key.pub"]) == 2
    assert "it was changed after it was signed, or signed by somebody else" in capsys.readouterr().err


def test_other_keys_and_no_signature(receipt: Path, capsys: Capture) -> None:
    assert main(["keys", "make", "other"]) == 0
    assert main(["verify", "receipt.json", "--yes", "--key", "other.pub"]) == 2
    assert "is signed with another key" in capsys.readouterr().err
    said = read_receipt(receipt)
    forged = {**said["signature"], "public_key": read_public("other.pub")}
    receipt.write_text(receipt_json({**said, "signature": forged}), encoding="utf-8")
    assert main(["verify", "receipt.json", "--yes", "--key", "other.pub"]) == 2
    assert "it was changed after it was signed" in capsys.readouterr().err
    del said["signature"]
    receipt.write_text(receipt_json(said), encoding="utf-8")
    assert main(["verify", "receipt.json", "--yes", "--key", "key.pub"]) == 2
    assert "The receipt is not signed" in capsys.readouterr().err
    assert main(["keys", "sign", "receipt.json", "--key", "other"]) == 0
    assert main(["verify", "receipt.json", "--yes", "--key", "other.pub"]) == 0
    assert sign_receipt(said, read_key("other"))["signature"]["value"] == read_receipt(receipt)["signature"]["value"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_private_key_is_its_owners(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        private, public = write_key_pair(tmp_path / "key")
    finally:
        os.umask(before)
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert stat.S_IMODE(public.stat().st_mode) == 0o644
    assert b"PRIVATE" not in public.read_bytes()
    private.chmod(0o640)
    with pytest.raises(StoreError, match="Others than its owner may read the private key .* chmod 600"):
        read_key(private)


def test_keys_that_are_none(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    private, public = write_key_pair(tmp_path / "key")
    for path in (private, public):
        with pytest.raises(StoreError, match=r"key exists; a key is never written over|key.pub exists; a key is never"):
            write_key_pair(private)
        path.rename(tmp_path / f"moved-{path.name}")
    private, public = tmp_path / "moved-key", tmp_path / "moved-key.pub"
    with pytest.raises(StoreError, match="is no public key"):
        read_public(private)
    public.chmod(0o600)
    with pytest.raises(StoreError, match="is no private key"):
        read_key(public)
    with pytest.raises(StoreError, match="cannot be read: No such file"):
        read_key(tmp_path / "nothing")
    with pytest.raises(StoreError, match="cannot be written"):
        write_key_pair(tmp_path / "no" / "folder")
    for words, match in (
        (["keys", "sign", "receipt.json"], "Say which key is to sign"),
        (["keys", "make", str(tmp_path / "new"), "--key", "x"], "leave --key out"),
    ):
        assert main(words) == 2
        assert match in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(NeedsError, match=r"pip install 'manyways\[sign\]'"):
        write_key_pair(tmp_path / "another")
