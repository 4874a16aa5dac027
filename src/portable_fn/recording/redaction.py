"""Payloads without their secrets, in the shape that they had, so that they can be handed over again.

A secret is told by the name that it goes by or by its form, in the value and in the texts inside of it: JSON, whole and in
lines, base64, gzip, multipart forms, queries, connection strings, cookies, XML and prose.

All of it takes time in the size of the value. So a pattern begins where nothing of its own is before it, and takes all that it
can for good (`++`); what may be anywhere is found once and then looked at.
"""

from __future__ import annotations

import json
import re
import zlib
from base64 import b64decode, b64encode
from typing import Any
from urllib.parse import quote_plus, unquote_plus

from portable_fn.data import MAX_JSON_DEPTH, to_json

# Base64 as well, for the members that are read as such.
REDACTED = "REDACTED"

# What goes beyond is replaced as a whole: a text that is in so many others, and what all that is packed inflates to.
MAX_TEXTS = 8
MAX_INFLATED = 8 * 1024 * 1024

# What a value is that is a secret by its name.
_ANY = re.compile(r"(?s:.*)")
_NO_NUMBER = re.compile(r"(?s:(?!-?\d+(?:\.\d+)?\Z).*)")
_NO_COUNT = re.compile(r"(?s:(?!\d{1,3}\Z).*)")
_PIN = re.compile(r"\d{4,12}")
_RANDOM = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[\w+/=.~%-]{20,}")
# A key in a query, and no name of an object such as "photos/2024.png".
_TOKEN = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[\w+=~%-]{12,}")

# Names in lower case with dashes between their words, and what is a secret by them; the first that fits counts. Source of those
# of credentials: https://owasp.org/www-community/vulnerabilities/Information_exposure_through_query_strings_in_url
_Names = tuple[tuple[re.Pattern[str], re.Pattern[str] | None], ...]
_NAMES: _Names = (
    (
        # What is told of a secret, and what is none but in name, without which a payload can't be read or takes another road.
        re.compile(
            r"-(?:type|count|status|length|size|limit|name|ur[il]|endpoint|expir(?:es|y|ation|ed)|ttl|age|at|on|in|time|date"
            r"|timestamp|policy|methods?|version|algorithm|alg|format|scheme|mode|level|provider|strategy|enabled|required"
            r"|valid|verified|usage|use|scopes?|consent|domain|arn|errors?|description|label)$"
            r"|(?:^|-)(?:next|previous|page|pagination|continuation|sync|resume|cursor|idempotency|lock)-tokens?(?:-|$)"
        ),
        None,
    ),
    (re.compile(r"(?:^|-)tokens$"), _NO_NUMBER),
    (
        re.compile(
            r"passw|pass-?(?:phrase|code)|credential|api-?key|saml-?response|client-?(?:principal|cert)|mnemonic|seed-?phrase"
            r"|(?:pwd|secret|token|authorization|signature|assertion)s?\d*(?:-|$)"
            r"|(?:^|-)(?:auth|otp|totp|cvv|cvc|jwt|sas|sig|hmac|bearer|cookies?|csrf|xsrf|creds?)(?:-|$)"
            r"|(?:access|priv|private|secret|auth|account|encryption|signing|master|shared|session|subscription|functions?|host"
            r"|ssh|licen[cs]e|webhook)-?keys?\d*(?:-|$)"
            r"|(?:verification|confirmation|security|recovery|reset|backup|device|mfa|one-time)-?codes?$"
            r"|(?:code|oauth)-?verifier|sess(?:ion)?-?id(?:-|$)"
        ),
        _ANY,
    ),
    # No compass, bypass, overpass, underpass and trespass.
    (re.compile(r"(?<!com)(?<!by)(?<!over)(?<!under)(?<!tres)pass\d*$|(?:^|-)pw\d*$"), _NO_COUNT),
    (re.compile(r"(?:^|-)seeds?$"), _NO_NUMBER),
    (re.compile(r"(?:^|-)sessions?$"), _RANDOM),
    (re.compile(r"(?:^|-)pin$"), _PIN),
    (re.compile(r"^code$"), _RANDOM),
)
_NAMES_OF_HEADERS: _Names = ((re.compile(r"session|identity|principal"), _ANY), *_NAMES)
_NAMES_OF_QUERIES: _Names = ((re.compile(r"^(?:key|sid)$"), _TOKEN), *_NAMES)

# Azure Service Bus's key of order.
_SESSIONS = ("SessionId", "SessionIdArray", "ReplyToSessionId", "metadata.sessionid")
# What says of which type the value beside it is, and how: "String", "text/plain".
_TYPES = ("dataType", "Type", "type", "contentType")
_TYPE = re.compile(r"[A-Za-z]{1,40}(?:[./][A-Za-z.+-]{1,40})?")
# {"name": "x-api-key", "value": "…"}
_CALLED = ("name", "Name", "key", "Key", "NAME", "KEY")
_VALUES = ("value", "Value", "VALUE", "values", "Values")
_COOKIES = ("cookie", "cookies", "set-cookie")
_COOKIE_ATTRIBUTES = ("path", "expires", "max-age", "domain", "samesite", "priority")
_COOKIE_FLAGS = ("secure", "httponly", "partitioned", "")

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_WORD = re.compile(r"[\w.~+/%-]{3,}+")
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[\W_]+")
# https://www.iana.org/assignments/http-authschemes, and AWS's, Azure's and GitHub's.
_SCHEMES = (
    r"(?:Bearer|Basic|Digest|DPoP|GNAP|HOBA|Hawk|Mutual|Negotiate|NTLM|OAuth|PrivateToken|SCRAM-SHA-\d+|vapid|Token"
    r"|Api-?Key|SharedAccessSignature|SharedKey(?:Lite)?|AWS4-HMAC-SHA256|AWS)"
)
_SCHEMED = re.compile(rf"(?i:({_SCHEMES})(\s+|%20|\+))(?=[^\s])")

# Secrets by their form.
_PEM = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)
_BEARER = re.compile(
    r"(?i)\b(Bearer|DPoP|ApiKey)(\s++|%20|\+)"
    r"(?!(?:tokens?|auth|authentication|authorization|scheme|realm|error|scope)\b)[^\s\"',;&<>]++"
)
_BASIC = re.compile(r"(?i)\b(Basic|Negotiate|NTLM)(\s++|%20|\+)([A-Za-z0-9+/_-]{4,}+(?:=|%3D){0,2})")
_DOTTED = re.compile(r"(?<![\w.-])[\w-]++(?:\.[\w-]*+){2,}+")
_KEYS = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:AKIA|ASIA)(?=[A-Z0-9]{16}(?![A-Za-z0-9]))|AIza|ya29\.|gh[opsur]_|github_pat_|glpat-|xox[a-z]-"
    r"|[rsp]k_(?:live|test)_|whsec_|sk-|SG\.|npm_|pypi-|hf_"
    # Vault, Shopify, Databricks, New Relic, Postman, Linear, Google's clients, DigitalOcean, age, Slack's apps, Docker, Grafana, Atlassian,
    # Supabase, Figma, Sentry, PlanetScale, Terraform Cloud's users, Square, Doppler.
    r"|hv[sbr]\.|shp(?:at|ca|pa|ss)_|dapi(?=[0-9a-f]{32})|NRAK-|NRJS-|NRII-|PMAK-|lin_(?:api|oauth)_|GOCSPX-|do[opr]_v1_"
    r"|AGE-SECRET-KEY-1|xapp-|dckr_[po]at_|gl(?:sa|c)_|ATATT3|sb[ps]_|fig[dou]_|sntry[su]_|pscale_(?:tkn|pw|oauth)_|sq0(?:csp|atp)-"
    r"|dp\.(?:st|pt|sa|ct)\.)[\w.-]{16,}+"
)
# https://core.telegram.org/bots/api#authorizing-your-bot
_BOT = re.compile(r"(?<!\d)\d{8,10}+:[\w-]{35}+(?![\w-])")
# Who has such an address may post: https://api.slack.com/messaging/webhooks, https://discord.com/developers/docs/resources/webhook
_HOOK = re.compile(
    r"(?<=hooks\.slack\.com/)(services|workflows|triggers)/[\w/%-]++|(?<=\.com/api/)(webhooks/\d++)/[\w-]++", re.ASCII
)
# After "://", to the next one.
_ADDRESS = re.compile(r"(?<=://)(?:(?!://)[^\s\"'<>])++")
_PORT = re.compile(r"[^:]*:\d*")

# Texts in texts.
_DATA_URL = re.compile(r"(?<=;base64,)[A-Za-z0-9+/_=-]++")
_BASE64 = re.compile(r"([A-Za-z0-9+/_\s-]{6,}+)={0,2}\s*+")
_ESCAPED = re.compile(r"[^\s&?#=;,:/@\"'<>]++")
_BOUNDARY = re.compile(r"(?:^|\n)(--[^\r\n]++)\r?\n(?i:content-)")
_PART_NAME = re.compile(r"(?i)\bname=\"?([^\";\r\n]++)")
_TAG = re.compile(r"(<([\w:.-]++)(?:\s[^<>]*+)?>)(?:(<!\[CDATA\[)((?:(?!\]\]>)(?s:.))*+)|([^<]++))")
_CONNECTION = re.compile(r"\s*+[\w .-]++=[^;\n]*+;\s*+[\w .-]++=")
_PAIR = re.compile(
    r"(?<![\w.%\[\]-])(?P<name>[\w.%\[\]-]++(?i:[ ]key\b)?)"
    r"(?P<quote>\\{0,9}[\"'])?\s{0,9}(?P<mark>=>|=(?!=)|:)(?P<gap>\s{0,9})"
)


def _values(plain: str) -> re.Pattern[str]:
    """Values in quotes, in brackets, or as `plain` says."""
    quoted = r"[bru]{0,2}(?P<mark>\\{0,9}[\"'])(?P<quoted>(?:(?!(?P=mark))(?:\\(?s:.)|[^\\]))*+)"
    return re.compile(rf"{quoted}|[\[{{(](?P<bracketed>[^\]}})]*+)|(?P<plain>{plain})")


_OF_CONNECTIONS = _values(r"[^;\r\n\"]++")
_OF_FORMS = _values(r"(?:[^\s&;,#\"'<]|'(?![\s,;)\]}]|\Z)|,(?![\w.-]++=))++")
_OF_LINES = _values(r"[^\r\n]++")
_OF_PROSE = _values(rf"(?:{_SCHEMED.pattern})?[^\s;,\"'<>]++")
# Of a value that is looked at before it is known to be a secret: others may begin in it.
_BEGINNING = 128


def redacted(value: Any, name: str = "") -> Any:
    """The value, of JSON, with what its name or its form says to be a secret replaced, inside of texts and base64 too."""
    return _Redaction().member(name, value)


def missing_words(value: Any, kept: Any) -> frozenset[str]:
    """The words of a value that its redaction has no more: an answer may say them again."""
    return _words(value) - _words(kept)


def without_words(value: Any, words: frozenset[str]) -> Any:
    """The value, of JSON, with the words replaced wherever they are in its texts."""
    if isinstance(value, str):
        return _WORD.sub(lambda found: REDACTED if found[0] in words else found[0], value)
    if isinstance(value, dict):
        return {name: without_words(one, words) for name, one in value.items()}
    return [without_words(one, words) for one in value] if isinstance(value, list) else value


def _words(value: Any) -> frozenset[str]:
    # Numbers and what is shorter may be anything else in an answer.
    return frozenset(word for word in _WORD.findall(to_json(value)) if not _NUMBER.fullmatch(word))


def _secret(name: str, names: _Names = _NAMES) -> re.Pattern[str] | None:
    """What a value of the name is where it is a secret; None where it never is."""
    words = _WORDS.sub("-", name).strip("-").lower()
    return next((form for pattern, form in names if pattern.search(words)), None)


def _leaf(text: str) -> str:
    if _NUMBER.fullmatch(text):
        return "0"
    scheme = _SCHEMED.match(text)
    return f"{scheme[0]}{REDACTED}" if scheme else REDACTED if text.strip() else text


class _Redaction:
    """The redaction of one value, which knows how deep it is in it and how much it has inflated."""

    def __init__(self) -> None:
        self._nesting = 0
        self._texts = 0
        self._inflated = 0

    def member(self, name: str, value: Any, secret: re.Pattern[str] | None = None, names: _Names = _NAMES) -> Any:
        """The value of the name; `secret` is what it is where it is one anyhow, `names` are those of where it is."""
        lower = name.lower()
        if lower in _COOKIES and isinstance(value, (str, list, tuple)):
            # Those of AWS's HTTP APIs are a list, of a request as well as of an answer.
            is_set = lower == "set-cookie" or (lower == "cookies" and not isinstance(value, str))
            return self._cookies(value, is_set=is_set)
        # What a verified token says of its bearer is no secret.
        if secret is None and name not in _SESSIONS and not (lower == "jwt" and isinstance(value, dict)):
            secret = _secret(name, names)
        if lower.endswith("headers"):
            names = _NAMES_OF_HEADERS
        elif "query" in lower:
            names = _NAMES_OF_QUERIES
        return self._value(value, secret, names)

    def _value(self, value: Any, secret: re.Pattern[str] | None, names: _Names) -> Any:
        if isinstance(value, str):
            if secret is not None and secret.fullmatch(value):
                made = self._json(value, secret) if secret is _ANY else None
                return _leaf(value) if made is None else made
            return self.text(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return 0 if secret is not None and secret.fullmatch(str(value)) else value
        if not isinstance(value, (dict, list, tuple)):
            return value
        if self._nesting >= MAX_JSON_DEPTH:
            return REDACTED
        self._nesting += 1
        try:
            return self._object(value, secret, names) if isinstance(value, dict) else self._list(value, secret, names)
        finally:
            self._nesting -= 1

    def _object(self, value: dict[Any, Any], secret: re.Pattern[str] | None, names: _Names) -> dict[Any, Any]:
        called = next((name for name in _CALLED if isinstance(value.get(name), str)), "")
        made: dict[Any, Any] = {}
        for name, one in value.items():
            if not isinstance(name, str) or (name == "session_id" and "delivery_count" in value):
                made[name] = self._value(one, secret, names)
            elif called and name in _VALUES:
                made[name] = self.member(value[called], one, secret, names)
            elif secret is not None and (
                _secret(one, names) is not None
                if name == called
                else name in _TYPES and isinstance(one, str) and _TYPE.fullmatch(one)
            ):
                made[name] = one
            else:
                key = REDACTED if secret is not None and _RANDOM.fullmatch(name) else _by_form(name)
                made[f"{key}-{len(made)}" if key in made else key] = self.member(name, one, secret, names)
        return made

    def _list(self, value: Any, secret: re.Pattern[str] | None, names: _Names) -> list[Any]:
        # A header as a pair.
        if names is _NAMES_OF_HEADERS and len(value) == 2 and all(isinstance(one, str) for one in value):
            return [value[0], self.member(value[0], value[1], secret, names)]
        return [self._value(one, secret, names) for one in value]

    def _cookies(self, value: Any, *, is_set: bool) -> Any:
        """Cookies with their names, and with what a Set-Cookie says beside; a list of `cookies` may be of either."""
        if isinstance(value, str):
            # Several in one line; a comma is in "Expires" too.
            lines = re.split(r",\s*+(?=[^\s;,=]++=)", value) if is_set else [value]
            return ", ".join(_cookie_line(line, is_set=is_set) for line in lines)
        if isinstance(value, (list, tuple)):
            return [self._cookies(one, is_set=is_set) for one in value]
        return self._value(value, _ANY, _NAMES_OF_HEADERS)

    def text(self, text: str) -> str:
        """A text, read as whatever it is, with the secrets in it replaced."""
        for read in (self._json, self._base64, self._multipart, self._lines):
            made = read(text)
            if made is not None:
                return made
        return self._prose(text)

    def _inside(self, text: str) -> str:
        """A text that was in another."""
        if self._texts >= MAX_TEXTS:
            return REDACTED
        self._texts += 1
        try:
            return self.text(text)
        finally:
            self._texts -= 1

    def _json(self, text: str, secret: re.Pattern[str] | None = None) -> str | None:
        """A text of JSON; None where it is none."""
        start = text.lstrip(" \t\r\n\ufeff")
        inside = start.rstrip(" \t\r\n")
        if not start.startswith(("{", "[", '"')):
            return None
        twice = False

        def pairs(those: list[tuple[str, Any]]) -> dict[str, Any]:
            nonlocal twice
            made = dict(those)
            twice = twice or len(made) < len(those)
            return made

        try:
            value = json.loads(inside, object_pairs_hook=pairs)
        except ValueError:
            return None
        except RecursionError:
            return REDACTED
        if self._texts >= MAX_TEXTS:
            return REDACTED
        self._texts += 1
        try:
            made = self._value(value, secret, _NAMES)
        finally:
            self._texts -= 1
        if made == value and not twice:
            return text
        # Written as it was, so that it is compared with what is written so.
        separators = None if '": ' in text else (",", ":")
        written = json.dumps(made, ensure_ascii=text.isascii(), separators=separators)
        return text[: len(text) - len(start)] + written + start[len(inside) :]

    def _base64(self, text: str) -> str | None:
        """Base64 of a text, packed or not; None where it is none, or has no secrets."""
        found = _BASE64.fullmatch(text)
        if found is None:
            return None
        digits = "".join(found[1].split()).replace("-", "+").replace("_", "/")
        try:
            octets = b64decode(digits + "=" * (-len(digits) % 4), validate=True)
            is_packed = octets.startswith(b"\x1f\x8b\x08")
            inflated = self._inflate(octets) if is_packed else octets
            if inflated is None:
                return REDACTED
            # A file of a form may be of any bytes.
            errors = "surrogateescape" if b"form-data;" in inflated else "strict"
            inside = inflated.decode(errors=errors)
        except ValueError:
            return None
        made = self._inside(inside)
        if made == inside:
            return None
        octets = made.encode(errors="surrogatepass" if errors == "strict" else errors)
        written = b64encode(_packed(octets) if is_packed else octets).decode()
        if "-" in text or "_" in text:
            written = written.replace("+", "-").replace("/", "_")
        return written if "=" in text or not len(digits) % 4 else written.rstrip("=")

    def _inflate(self, octets: bytes) -> bytes | None:
        """What the gzip has in it; None where it is none, or too much."""
        made = bytearray()
        while octets:
            member = zlib.decompressobj(wbits=31)
            try:
                made += member.decompress(octets, MAX_INFLATED - self._inflated - len(made) + 1)
            except zlib.error:
                return None
            if not member.eof or len(made) + self._inflated > MAX_INFLATED:
                return None
            octets = member.unused_data.lstrip(b"\0")
        self._inflated += len(made)
        return bytes(made)

    def _multipart(self, text: str) -> str | None:
        """A form in parts, of which each has its name; None where it is none."""
        if "form-data;" not in text:
            return None
        boundary = _BOUNDARY.search(text)
        delimiter = boundary[1] if boundary else "\n--"
        return delimiter.join(map(self._part, text.split(delimiter)))

    def _part(self, part: str) -> str:
        end = re.search(r"\n\r?\n", part)
        name = _PART_NAME.search(part, 0, end.start()) if end else None
        if end is None or name is None:
            return self._prose(part)
        head, value = part[: end.end()], part[end.end() :]
        content = value.rstrip("\r\n")
        secret = _secret(name[1])
        is_secret = secret is not None and secret.fullmatch(content)
        return head + (_leaf(content) if is_secret else self._inside(content)) + value[len(content) :]

    def _lines(self, text: str) -> str | None:
        """Lines of which some are JSON, after "data:" in a stream of events; None where none is."""
        if "\n" not in text:
            return None
        made: list[str] = []
        others: list[str] = []
        for line in text.split("\n"):
            start = "data:" if line.startswith("data:") else ""
            inside = self._json(line[len(start) :])
            if inside is None:
                others.append(line)
                continue
            if others:
                made.append(self._prose("\n".join(others)))
                others = []
            made.append(start + inside)
        if not made:
            return None
        return "\n".join([*made, self._prose("\n".join(others))] if others else made)

    def _prose(self, text: str) -> str:
        """Any other text."""
        if ";base64," in text:
            text = _DATA_URL.sub(lambda found: self._base64(found[0]) or found[0], text)
        text = _by_form(text)
        text = _ADDRESS.sub(lambda found: _without_user(found[0]), text)
        if "%" in text:
            text = _ESCAPED.sub(lambda found: self._escaped(found[0]), text)
        text = _TAG.sub(_tag, text)
        return _pairs(text)

    def _escaped(self, text: str) -> str:
        if "%" not in text:
            return text
        inside = unquote_plus(text, errors="surrogateescape")
        if inside == text:
            return text
        made = self._inside(inside)
        return text if made == inside else quote_plus(made, errors="surrogateescape")


def _packed(octets: bytes) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(octets) + packer.flush()


def _cookie_line(line: str, *, is_set: bool) -> str:
    first, *rest = line.split(";")
    return ";".join([_cookie(first), *(part if is_set and _is_attribute(part) else _cookie(part) for part in rest)])


def _is_attribute(part: str) -> bool:
    name, equals, _ = part.strip().lower().partition("=")
    return name in (_COOKIE_ATTRIBUTES if equals else _COOKIE_FLAGS)


def _cookie(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    if equals:
        return f"{name}={REDACTED}"
    return pair.replace(pair.strip(), REDACTED) if pair.strip() else pair


def _by_form(text: str) -> str:
    """A text without the secrets that have a form of their own."""
    text = _PEM.sub(REDACTED, text)
    text = _BEARER.sub(rf"\1\2{REDACTED}", text)
    text = _BASIC.sub(_basic, text)
    text = _DOTTED.sub(_jwt, text)
    if ".com/" in text:
        text = _HOOK.sub(lambda found: f"{found[1] or found[2]}/{REDACTED}", text)
    return _BOT.sub(REDACTED, _KEYS.sub(_key, text))


def _basic(found: re.Match[str]) -> str:
    """A user's name and password, or else a ticket; "Basic plan" is neither."""
    digits = found[3].replace("%3D", "=").rstrip("=")
    try:
        is_secret = b":" in b64decode(digits + "=" * (-len(digits) % 4), "-_" if {"-", "_"} & set(digits) else None)
    except ValueError:
        is_secret = False
    return f"{found[1]}{found[2]}{REDACTED}" if is_secret or _RANDOM.fullmatch(digits) else found[0]


def _jwt(found: re.Match[str]) -> str:
    """Parts with dots between of which one begins as a JSON object in base64 does."""
    at = found[0].find("eyJ")
    return found[0][:at] + REDACTED if at >= 0 and found[0].count(".", at) >= 2 else found[0]


def _key(found: re.Match[str]) -> str:
    # "sk-circle-fade-dot" is a class of CSS.
    return found[0] if found[0].startswith("sk-") and not any(one.isdigit() for one in found[0]) else REDACTED


def _without_user(address: str) -> str:
    """What follows "://" without whose it is; of a password with a slash too, which no port has."""
    authority = re.split(r"[/?#]", address, maxsplit=1)[0]
    if "@" in authority:
        at = authority.rindex("@")
    elif ":" in authority and not _PORT.fullmatch(authority) and "@" in address and not authority.startswith("["):
        at = address.rindex("@")
    else:
        return address
    return (f"{REDACTED}:{REDACTED}" if ":" in address[:at] else REDACTED) + address[at:]


def _tag(found: re.Match[str]) -> str:
    start, name, cdata, inside, plain = found.groups("")
    secret = _secret(name)
    value = inside or plain
    return start + cdata + (_leaf(value) if secret is not None and secret.fullmatch(value.strip()) else value)


def _pairs(text: str) -> str:
    """A text with names and values, of a query, a form, a connection string, a log or a program, without the secret values."""
    made: list[str] = []
    done = 0
    connection = _CONNECTION.match(text)
    for found in _PAIR.finditer(text):
        if found.start() < done:
            continue
        is_assigned = found["mark"] == "=" and not found["gap"]
        secret = _secret(unquote_plus(found["name"]), _NAMES_OF_QUERIES if is_assigned else _NAMES)
        if secret is None:
            continue
        before = text[max(found.start() - 5, 0) : found.start()].rstrip()
        if is_assigned:
            is_first = connection is not None and found.start() < connection.end()
            values = _OF_CONNECTIONS if is_first or (before[-1:] == ";" and before[-4:] != "amp;") else _OF_FORMS
        else:
            values = _OF_LINES if found["name"].lower().endswith(("cookie", "authorization")) else _OF_PROSE
        beginning = values.match(text, found.end(), found.end() + _BEGINNING)
        if beginning is None or not secret.fullmatch(beginning[beginning.lastgroup or 0]):
            continue
        # Neither a scope, "password:reset", nor what an ARN says.
        is_word = found["mark"] == ":" and not found["gap"] and not found["quote"] and beginning.lastgroup == "plain"
        if is_word and (before[-1:] == ":" or not any(one.isdigit() for one in beginning[0])):
            continue
        value = values.match(text, found.end()) or beginning
        start, end = value.span(value.lastgroup or 0)
        made += text[done:start], _leaf(text[start:end])
        done = end
    return "".join([*made, text[done:]])
