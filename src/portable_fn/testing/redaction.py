"""Payloads without their secrets, in the shape that they had, so that they can be handed over again."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from base64 import b64decode, b64encode
from typing import Any

# Base64 as well, for the members that are read as such.
REDACTED = "REDACTED"

# Words of names, as credentials are called: https://owasp.org/www-community/vulnerabilities/Information_exposure_through_query_strings_in_url
_SECRET = re.compile(
    r"(?i)(^|[^a-z])(pass(word|wd|phrase|code)?|pwd|pin|otp|cvv|cvc|jwt|sas|sig)($|[^a-z])|^code$"
    r"|passw|secret|token|credential|authorization|cookie|api[-_]?key|access[-_]?key|private[-_]?key|account[-_]?key"
    r"|encryption[-_]?key|x-functions-key|subscription-key|signature|assertion|client-principal|iap-jwt|client-cert"
)
# Names with such a word that say nothing secret, and without which the payload can't be read.
_PLAIN = re.compile(r"(?i)^(signature_?version|token_?type|code_?challenge_?method|status_?code|LockToken.*)$")
# What says of which type the value beside it is.
_TYPES = ("dataType", "Type", "type", "contentType")
_HEADERS = ("headers", "multiValueHeaders", "commonHeaders")
_SESSION = re.compile(r"(?i)session|identity|principal")

_SCHEME = re.compile(
    r"(?i)\b(Bearer|Basic|Digest|Negotiate|ApiKey|SharedAccessSignature|AWS4-HMAC-SHA256)\s+[^\s\"',;]+"
)
_JWT = re.compile(r"\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*")
_AWS_KEY = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_USERINFO = re.compile(r"(?<=://)[^/@\s:]*:[^/@\s]+(?=@)")
_PAIR = re.compile(r"(?:(?<=[?&;,\s])|^)([^=&?;\s/{\"]{1,100})=([^&\s;#\"]+)")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{8,}={0,2}")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def redacted(value: Any, name: str = "") -> Any:
    """The value, of JSON, with what its name or its form says to be a secret replaced, inside of texts and base64 too."""
    return _of_member(name, value, False, in_headers=False, depth=0)


def _redacted(value: Any, secret: bool, *, in_headers: bool, depth: int) -> Any:
    if isinstance(value, dict):
        # {"name": "x-api-key", "value": "…"}
        called = next((value[one] for one in ("name", "Key") if isinstance(value.get(one), str)), None)
        if called is not None and _is_secret(called) and {"value", "Value"} & set(value):
            hidden = {name for name in ("value", "Value") if name in value}
            return {
                name: _redacted(one, secret or name in hidden, in_headers=in_headers, depth=depth)
                for name, one in value.items()
            }
        return {
            name: one
            if name in _TYPES and isinstance(one, str)
            else _of_member(str(name), one, secret, in_headers=in_headers, depth=depth)
            for name, one in value.items()
        }
    if isinstance(value, list):
        # A header as a pair, and one as an object of name and value.
        if in_headers and len(value) == 2 and all(isinstance(one, str) for one in value):
            return [value[0], _of_member(value[0], value[1], secret, in_headers=True, depth=depth)]
        return [_redacted(one, secret, in_headers=in_headers, depth=depth) for one in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, str):
        return _leaf(value) if secret else _text(value, depth)
    return 0 if secret else value


def _of_member(name: str, value: Any, secret: bool, *, in_headers: bool, depth: int) -> Any:
    is_headers = in_headers or name in _HEADERS
    lower = name.lower()
    if lower in ("cookie", "set-cookie", "cookies"):
        return _cookies(value, is_set=lower == "set-cookie")
    if _is_secret(name):
        # What a verified token says of its bearer is no secret; how many tokens there are neither.
        secret = secret or not (
            (lower == "jwt" and isinstance(value, dict)) or ("token" in lower and isinstance(value, (int, float)))
        )
    secret = secret or (in_headers and bool(_SESSION.search(name)))
    if secret and isinstance(value, str) and " " in value and lower.endswith("authorization"):
        return f"{value.partition(' ')[0]} {REDACTED}"
    return _redacted(value, secret, in_headers=is_headers, depth=depth)


def _is_secret(name: str) -> bool:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name)
    return bool(_SECRET.search(words) or _SECRET.search(name)) and not _PLAIN.match(name)


def _leaf(text: str) -> str:
    return "0" if _NUMBER.fullmatch(text) else REDACTED if text else ""


def _cookies(value: Any, *, is_set: bool) -> Any:
    """Cookies with their names, and what a Set-Cookie says beside."""
    if isinstance(value, list):
        return [_cookies(one, is_set=is_set) for one in value]
    if not isinstance(value, str):
        return _redacted(value, True, in_headers=False, depth=0)
    first, *rest = value.split(";")
    kept = rest if is_set or any(part.strip().partition("=")[0].lower() in _ATTRIBUTES for part in rest) else None
    return ";".join([_cookie(first), *(map(_cookie, rest) if kept is None else kept)])


_ATTRIBUTES = ("path", "expires", "max-age", "domain", "samesite", "secure", "httponly")


def _cookie(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}={REDACTED}" if equals else pair


def _in_base64(text: str, depth: int) -> str | None:
    """Base64 of a text, packed or not, without its secrets; None where it is none, or has none."""
    try:
        octets = b64decode(text, validate=True)
        is_packed = octets.startswith(b"\x1f\x8b")
        inside = (gzip.decompress(octets) if is_packed else octets).decode()
    except (ValueError, OSError, EOFError, zlib.error):
        return None
    made = _text(inside, depth + 1)
    if made == inside:
        return None
    return b64encode(gzip.compress(made.encode()) if is_packed else made.encode()).decode()


def _text(text: str, depth: int) -> str:
    """A text with the secrets in it replaced: in JSON, in base64 of text, in queries and forms, and by their forms."""
    if depth < 5:
        if text[:1] in ("{", "["):
            try:
                value = json.loads(text)
            except (ValueError, RecursionError):
                pass
            else:
                made = _redacted(value, False, in_headers=False, depth=depth + 1)
                # Written as it was, so that it is compared with what is written so.
                separators = None if '": ' in text else (",", ":")
                return text if made == value else json.dumps(made, ensure_ascii=False, separators=separators)
        if len(text) % 4 == 0 and len(text) >= 8 and _BASE64.fullmatch(text):
            made = _in_base64(text, depth)
            if made is not None:
                return made
    text = _PEM.sub(REDACTED, text)
    text = _SCHEME.sub(rf"\1 {REDACTED}", text)
    text = _JWT.sub(REDACTED, text)
    text = _AWS_KEY.sub(REDACTED, text)
    text = _USERINFO.sub(f"{REDACTED}:{REDACTED}", text)
    return _PAIR.sub(lambda pair: f"{pair[1]}={REDACTED}" if _is_secret(pair[1]) else pair[0], text)
