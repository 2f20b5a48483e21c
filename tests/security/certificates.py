"""Certificates of the tests' own authority: right ones, and ones that are wrong in one way each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

HOSTS = ("localhost", "127.0.0.1")
KEY_PASSWORD = "canary-key-password"


@dataclass(frozen=True)
class Certificates:
    """Files in PEM.

    Attributes:
        folder: where they lie.
        authority: the certificate of the authority that signed all of them.
        stranger: the certificate of another authority.
    """

    folder: Path
    authority: Path
    stranger: Path

    def file(self, name: str) -> Path:
        """A certificate with its key, in the form that Java and OpenSSL both read."""
        return self.folder / f"{name}.pem"


def make(folder: Path) -> Certificates:
    """Make every certificate that the servers and clients of the tests have."""
    ours, other = trustme.CA(), trustme.CA()
    made = Certificates(folder, folder / "authority.pem", folder / "stranger.pem")
    ours.cert_pem.write_to_path(made.authority)
    other.cert_pem.write_to_path(made.stranger)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    soon = datetime.now(UTC) + timedelta(days=3)
    certificates = {
        "server": ours.issue_cert(*HOSTS),
        "other-host": ours.issue_cert("elsewhere.example"),
        "expired": ours.issue_cert(*HOSTS, not_before=yesterday - timedelta(days=9), not_after=yesterday),
        "expiring": ours.issue_cert(*HOSTS, not_after=soon),
        "client": ours.issue_cert("client@example.com", common_name="wex"),
        "expired-client": ours.issue_cert(
            "client@example.com", not_before=yesterday - timedelta(days=9), not_after=yesterday
        ),
        "strange-client": other.issue_cert("client@example.com"),
    }
    for name, certificate in certificates.items():
        made.file(name).write_bytes(_in_pkcs8(certificate))
    key = load_pem_private_key(certificates["client"].private_key_pem.bytes(), None)
    sealed = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(KEY_PASSWORD.encode()))
    (folder / "client.key").write_bytes(sealed)
    (folder / "client.crt").write_bytes(b"".join(blob.bytes() for blob in certificates["client"].cert_chain_pems))
    return made


def _in_pkcs8(certificate: trustme.LeafCert) -> bytes:
    key = load_pem_private_key(certificate.private_key_pem.bytes(), None)
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + chain
