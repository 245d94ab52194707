"""Signatures of receipts: Ed25519 (RFC 8032), by the library `cryptography`.

What is signed are the bytes `PREFIX` and then those that a receipt's hash is of: its JSON without `hash` and
`signature`, members sorted by name, as `json.dumps(…, sort_keys=True)` writes it, in UTF-8.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manyways.errors import NeedsError, StoreError
from manyways.lineage.forgetting.receipt import signed_bytes
from manyways.permissions import FILE, OTHERS

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ALGORITHM = "Ed25519"
PREFIX = b"manyways.receipt signature\n"
"""Before what is signed, so that a signature of a receipt is one of nothing else."""
PUBLIC = ".pub"


@dataclass(frozen=True)
class SigningKey:
    """A private key; `public` is its public key, 64 hexadecimal digits."""

    secret: "Ed25519PrivateKey"

    @property
    def public(self) -> str:
        return self.secret.public_key().public_bytes_raw().hex()


def write_key_pair(path: str | Path) -> tuple[Path, Path]:
    """Make a key pair: the private key in `path`, which its owner alone may read, and the public one beside it.

    Both are PEM files. Raises StoreError where a file is there already, or none can be written.
    """
    _library()
    from cryptography.hazmat.primitives import serialization as forms
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Path(path)
    public = private.with_name(private.name + PUBLIC)
    key = Ed25519PrivateKey.generate()
    pem = forms.Encoding.PEM
    secret = key.private_bytes(pem, forms.PrivateFormat.PKCS8, forms.NoEncryption())
    public_bytes = key.public_key().public_bytes(pem, forms.PublicFormat.SubjectPublicKeyInfo)
    if public.exists():
        raise StoreError(f"{public} exists; a key is never written over another. Name another file.")
    _write_new(private, secret, FILE)
    _write_new(public, public_bytes, 0o644)
    return private, public


def _write_new(path: Path, content: bytes, mode: int) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
    except FileExistsError:
        raise StoreError(f"{path} exists; a key is never written over another. Name another file.") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}. Name a file in a writable folder.") from error


def read_key(path: str | Path) -> SigningKey:
    """The private key in a file. Raises StoreError where it is none, or others than its owner may read it."""
    _library()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    path = Path(path)
    content = _content(path)
    if os.name != "nt" and path.stat().st_mode & OTHERS:
        raise StoreError(f"Others than its owner may read the private key {path}. Close it: chmod 600 {path}.")
    try:
        key = load_pem_private_key(content, None)
    except (ValueError, TypeError) as error:
        raise StoreError(f"{path} is no private key: {error}. `manyways keys make FILE` makes one.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise StoreError(
            f"{path} is a private key of another kind than {ALGORITHM}. `manyways keys make FILE` makes one."
        )
    return SigningKey(key)


def read_public(path: str | Path) -> str:
    """The public key in a file, as 64 hexadecimal digits; such digits themselves are one, too.

    Raises StoreError where it is none.
    """
    if len(str(path)) == 64 and _is_hex(str(path)):
        return str(path).lower()
    _library()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    path = Path(path)
    try:
        key = load_pem_public_key(_content(path))
    except ValueError as error:
        raise StoreError(f"{path} is no public key: {error}. Give the file FILE{PUBLIC} of the signer.") from error
    if not isinstance(key, Ed25519PublicKey):
        raise StoreError(f"{path} is a public key of another kind than {ALGORITHM}.")
    return key.public_bytes_raw().hex()


def sign_receipt(receipt: Mapping[str, Any], key: SigningKey) -> dict[str, Any]:
    """`receipt` with a signature by `key`, in the place of one that it may have."""
    value = key.secret.sign(PREFIX + signed_bytes(receipt)).hex()
    rest = {name: held for name, held in receipt.items() if name != "signature"}
    return {**rest, "signature": {"algorithm": ALGORITHM, "public_key": key.public, "value": value}}


def check_signature(receipt: Mapping[str, Any], public: str) -> None:
    """Raise StoreError unless `receipt` was signed with the private key of `public`, 64 hexadecimal digits."""
    _library()
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    stated = receipt.get("signature")
    if stated is None:
        raise StoreError("The receipt is not signed, and a key was given that it should be signed with.")
    if stated["public_key"] != public:
        raise StoreError(
            f"The receipt is signed with another key: with {stated['public_key']}, and given was {public}."
        )
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
        key.verify(bytes.fromhex(stated["value"]), PREFIX + signed_bytes(receipt))
    except (InvalidSignature, ValueError):
        raise StoreError(
            f"The signature of the receipt is not one of {public}: it was changed after it was signed, or signed by "
            "somebody else."
        ) from None


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StoreError(f"The key {path} cannot be read: {error.strerror}.") from error


def _is_hex(text: str) -> bool:
    return all(letter in "0123456789abcdefABCDEF" for letter in text)


def _library() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError as error:
        raise NeedsError("Signing needs the library cryptography: pip install 'manyways[sign]'.") from error
