"""What connections to Kafka and to PostgreSQL have in common: which hosts are this machine, and why TLS fails."""

from __future__ import annotations

import ssl
from ipaddress import ip_address

_OTHER_NAME = {62, 64}  # OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH, …_IP_ADDRESS_MISMATCH
_TIME = {9: "it is not valid yet", 10: "it has expired"}
_UNKNOWN_AUTHORITY = {2, 18, 19, 20, 21}
_NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNEXPECTED_EOF")


def is_local(host: str) -> bool:
    """Return whether a host is this machine for sure: a loopback address, `localhost`, or the folder of a socket."""
    if host == "localhost" or host.startswith("/"):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def tls_problem(error: ssl.SSLError) -> str:
    """Return why a TLS connection could not be made, and what to do about it; no part of a key or a password."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _distrust(error)
    reason = str(error.reason or "")
    if "ALERT" in reason:
        said = reason.lower().replace("_", " ")
        return f"the server refuses this client ({said}): name a certificate and key that its authority has signed"
    if any(each in reason for each in _NOT_TLS):
        return "the server does not speak TLS there: correct the port, or the protocol"
    return f"TLS fails: {reason or type(error).__name__}"


def _distrust(error: ssl.SSLCertVerificationError) -> str:
    code = error.verify_code
    if code in _OTHER_NAME:
        why, remedy = "it is for another host", "connect by a name that the certificate has"
    elif code in _TIME:
        why, remedy = _TIME[code], "renew it, or set the clocks"
    elif code in _UNKNOWN_AUTHORITY:
        why, remedy = "its authority is not known", "name the authority's certificate (CA file)"
    else:
        why, remedy = error.verify_message, "look at the certificate"
    return f"the server's certificate is not trusted: {why}; {remedy}"
