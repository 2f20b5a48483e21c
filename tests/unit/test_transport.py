"""Why a TLS connection could not be made, in words that say what to do."""

from __future__ import annotations

import ssl

import pytest

from events.transport import tls_problem

REASONS = [
    ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "the server refuses this client"),
    ("WRONG_VERSION_NUMBER", "does not speak TLS there"),
    ("BAD_SIGNATURE", "TLS fails: BAD_SIGNATURE"),
    (None, "TLS fails: SSLError"),
]
CODES = [
    (62, "it is for another host"),
    (9, "it is not valid yet"),
    (10, "it has expired"),
    (19, "its authority is not known"),
    (7, "what OpenSSL says; look at the certificate"),
]


@pytest.mark.parametrize(("reason", "said"), REASONS)
def test_a_refusal_and_another_protocol_are_told_apart(reason: str | None, said: str) -> None:
    """OpenSSL's reasons become what is wrong and what to do."""
    error = ssl.SSLError(1, "raw")
    error.reason = reason  # type: ignore[assignment] # OpenSSL leaves it out at times
    assert said in tls_problem(error)


@pytest.mark.parametrize(("code", "said"), CODES)
def test_a_certificate_that_is_not_trusted_says_why(code: int, said: str) -> None:
    """OpenSSL's codes become the cause and the remedy."""
    error = ssl.SSLCertVerificationError(1, "raw")
    error.verify_code, error.verify_message = code, "what OpenSSL says"
    assert said in tls_problem(error)
