"""Signatures of those who post to us."""

import base64
import binascii
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey


def read_public_key(text: str) -> "EllipticCurvePublicKey":
    """Return a public key on the curve P-256, given as base64 of DER, as SendGrid shows it. Raises ValueError."""
    # 50 ms: only those who verify something pay for it.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        key = load_der_public_key(base64.b64decode(text, validate=True))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("this is no public key") from error
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return key
    raise ValueError("this is no key on the curve P-256")


def is_signed(message: bytes, signature: str, key: "EllipticCurvePublicKey") -> bool:
    """Tell whether the owner of this key signed the message: ECDSA with SHA-256, in base64."""
    # As above.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        key.verify(base64.b64decode(signature, validate=True), message, ECDSA(SHA256()))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True
