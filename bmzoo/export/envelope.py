"""Signed documents: the Dead Simple Signing Envelope (DSSE 1.0), with Ed25519 keys as PEM files.

Source: https://github.com/secure-systems-lab/dsse, protocol.md, envelope.md; keys in PKCS #8 and SPKI (RFC 8410).
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bmzoo.errors import SourceError
from bmzoo.system.files import json_text

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAKE_KEYS = (
    "openssl genpkey -algorithm ed25519 -out key.pem makes one to sign with, openssl pkey -in key.pem -pubout -out "
    "key.pub its public half"
)


@dataclass(frozen=True)
class Envelope:
    """A document, and the keys that it says to be signed by: signature by key id."""

    payload: bytes
    signatures: Mapping[str, bytes]


def sealed(payload: bytes, key: Path | None) -> bytes:
    """The envelope of a document, signed if a private key is named. Raises SourceError for what is no key."""
    signatures = [_signature(payload, key)] if key is not None else []
    told = {"payloadType": PAYLOAD_TYPE, "payload": base64.b64encode(payload).decode(), "signatures": signatures}
    return json_text(told).encode()


def opened_envelope(content: bytes, shown: str) -> Envelope:
    """What an envelope holds; checks no signature. Raises SourceError for what `sealed` does not write."""
    try:
        told = json.loads(content)
        payload = base64.b64decode(told["payload"], validate=True)
        signatures = {str(one["keyid"]): base64.b64decode(one["sig"], validate=True) for one in told["signatures"]}
        known = told["payloadType"]
        whole = json_text(told).encode() == content and base64.b64encode(payload).decode() == told["payload"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error):
        whole = False
    if not whole:
        raise SourceError(f"{shown}: damaged: not an envelope as ./doit export writes it", "copy the archive again")
    if known != PAYLOAD_TYPE:
        raise SourceError(f"{shown}: holds no in-toto statement but: {known}", f"known: {PAYLOAD_TYPE}")
    return Envelope(payload, signatures)


def check_signature(envelope: Envelope, key: Path, shown: str) -> str:
    """The id of the public key, by which the envelope is signed. Raises SourceError where it is not."""
    from cryptography.exceptions import InvalidSignature

    public = _public_key(key)
    wanted = _key_id(public)
    if not envelope.signatures:
        raise SourceError(
            f"{shown}: not signed, and a key is named: {key}", "export it with key=, or leave key= out"
        )
    if wanted not in envelope.signatures:
        others = ", ".join(name[:16] for name in envelope.signatures)
        raise SourceError(f"{shown}: signed by another key: {others}, not by {wanted[:16]}", "name its public key")
    try:
        public.verify(envelope.signatures[wanted], _authenticated(envelope.payload))
    except InvalidSignature:
        hint = "it was changed after it was signed: get it again from who signed it"
        raise SourceError(f"{shown}: the signature of {wanted[:16]} does not fit", hint) from None
    return wanted


def _signature(payload: bytes, key: Path) -> dict[str, str]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    private = _loaded(key, lambda data: load_pem_private_key(data, password=None))
    if not isinstance(private, Ed25519PrivateKey):
        raise SourceError(f"{key}: not an Ed25519 key", MAKE_KEYS)
    signature = private.sign(_authenticated(payload))
    return {"keyid": _key_id(private.public_key()), "sig": base64.b64encode(signature).decode()}


def _public_key(key: Path) -> "Ed25519PublicKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    public = _loaded(key, load_pem_public_key)
    if not isinstance(public, Ed25519PublicKey):
        raise SourceError(f"{key}: not an Ed25519 key", MAKE_KEYS)
    return public


def _loaded(key: Path, load: Any) -> Any:  # noqa: ANN401  # the loaders of the library
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        return load(key.read_bytes())
    except OSError as error:
        raise SourceError(f"{key}: cannot be read: {error.strerror}", MAKE_KEYS) from None
    except TypeError:  # what the library says of one that wants a password
        raise SourceError(f"{key}: encrypted", "openssl pkey -in KEY -out PLAIN takes the password off") from None
    except (ValueError, UnsupportedAlgorithm):
        raise SourceError(f"{key}: not a key of the wanted half in PEM", MAKE_KEYS) from None


def _key_id(public: "Ed25519PublicKey") -> str:
    """sha256 of the key as SPKI, in hex."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _authenticated(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what is signed."""
    parts = (PAYLOAD_TYPE.encode(), payload)
    return b"DSSEv1" + b"".join(b" %d %s" % (len(part), part) for part in parts)
