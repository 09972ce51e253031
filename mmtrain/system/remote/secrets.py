"""Secrets in addresses: signatures, tokens and passwords, which are used while a process lives and written nowhere.

An address with a secret is known by its masked form: `https://host/t.csv?sig=abc` as `https://host/t.csv?signature=left-out`. The masked
form is the one in paths of the mirror, in configs, messages and reports; the whole one is looked up for the request alone. Parts of a
signature (key id, date, expiry) go with it, so that an address that is signed again stays the same one. A token may be what tells two files
apart, so a digest of it stays.
"""

from __future__ import annotations

import json
import os
import re
import urllib.parse
from hashlib import sha256
from threading import Lock

VARIABLE = "MMTRAIN_ADDRESSES"
"""Environment variable by which worker processes know the whole addresses of the tables of their parent: JSON, by masked address."""
WITH_QUERY = ("http", "https", "s3", "gs", "abfss")
"""Schemes whose addresses have a query; elsewhere `?` is a letter of a name."""
LEFT_OUT = "left-out"
SIGNED = f"signature={LEFT_OUT}"

_SIGNATURES = frozenset(["sig", "signature", "x-amz-signature", "x-goog-signature", "x-oss-signature", "x-ms-signature"])
_OF_SIGNATURES = re.compile(
    # AWS, Google, Alibaba; the older ones of AWS and Google; CloudFront; Azure's shared access signatures.
    r"x-(?:amz|goog|oss|ms)-.*|awsaccesskeyid|googleaccessid|ossaccesskeyid|expires|key-pair-id|policy"
    r"|s[vrpest]|ss|srt|spr|sip|si|sdd|sk(?:oid|tid|t|e|s|v)|saoid|suoid|scid",
    re.IGNORECASE,
)
"""Parameters that belong to a signature, and mean nothing without it."""
_SECRETS = re.compile(
    r"(?:.*[-_.])?(?:token|secret|password|passwd|pwd|auth|authorization|credentials?|jwt)|(?:(?:api|access|secret|subscription)[-_.]?)?key",
    re.IGNORECASE,
)
"""Parameters that are a secret themselves."""
_MASKED = re.compile(rf"{LEFT_OUT}(?:-[0-9a-f]{{8}})?")

_whole: dict[str, str] = {}
"""Whole addresses by their masked form."""
_lock = Lock()


def masked(address: str) -> str:
    """Return an address without its secrets; one without any, and what is not an address, as it is.

    >>> masked("https://host/t.csv?X-Amz-Date=2026&X-Amz-Signature=af31&versionId=3")
    'https://host/t.csv?versionId=3&signature=left-out'
    >>> masked("https://host/t.csv?size=big"), masked("ftp://me:word@host/t.csv")
    ('https://host/t.csv?size=big', 'ftp://me@host/t.csv')
    """
    scheme, separator, rest = address.partition("://")
    if not separator:
        return address
    rest, _, query = rest.partition("?") if scheme.lower() in WITH_QUERY else (rest, "", "")
    host, slash, path = rest.partition("/")
    user, at, name = host.rpartition("@")
    # The address of a container of Azure has its name before the @, and a colon only before a key.
    named = f"{user.partition(':')[0]}{at}{name}" if at else host
    return f"{scheme}://{named.removeprefix('@')}{slash}{path}{_masked_query(query)}"


def remember(address: str, *, inherited: bool) -> str:
    """Return the masked form of an address, and remember the address; with `inherited`, processes that this one starts know it as well."""
    clean = masked(address)
    if clean != address:
        with _lock:
            _whole[clean] = address
            if inherited:
                os.environ[VARIABLE] = json.dumps({**_inherited(), clean: address})
    return clean


def whole(address: str) -> str:
    """Return the whole address for a request; empty where its secret is not known in this process."""
    known = _whole.get(address) or _inherited().get(address, "")
    if known or not is_masked(address):
        return known or address
    return ""


def is_masked(address: str) -> bool:
    """Return whether an address lacks a secret that it had in its query."""
    parameters = address.partition("?")[2].split("&")
    return any(_MASKED.fullmatch(parameter.partition("=")[2]) for parameter in parameters)


def forget(address: str) -> None:
    """Forget the secret of a file that has been fetched: a table may name millions of signed images."""
    _whole.pop(address, None)


def _masked_query(query: str) -> str:
    if not query:
        return ""
    parameters = [parameter.partition("=") for parameter in query.split("&")]
    names = [urllib.parse.unquote_plus(name).lower() for name, _, _ in parameters]
    signed = not _SIGNATURES.isdisjoint(names) and SIGNED not in query.split("&")
    parts = []
    for name, (written, sign, value) in zip(names, parameters, strict=True):
        if signed and (name in _SIGNATURES or _OF_SIGNATURES.fullmatch(name)):
            continue
        secret = value and not _MASKED.fullmatch(value) and _SECRETS.fullmatch(name)
        parts.append(f"{written}{sign}{f'{LEFT_OUT}-{sha256(value.encode()).hexdigest()[:8]}' if secret else value}")
    return "?" + "&".join([*parts, *([SIGNED] if signed else [])])


def _inherited() -> dict[str, str]:
    try:
        known: dict[str, str] = json.loads(os.environ.get(VARIABLE) or "{}")
    except ValueError:
        return {}
    return known
