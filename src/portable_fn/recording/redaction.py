"""Remove the secrets from payloads, and keep their shape so that they can be replayed.

A secret is recognised by its name or its form, also in nested texts: JSON, JSON lines, base64, gzip, multipart forms, queries,
connection strings, cookies, XML and prose.

The time is linear in the size of the value: a pattern starts only where its own characters don't precede it, takes as many as it
can without backtracking (`++`), and is searched for once.
"""

from __future__ import annotations

import json
import re
import zlib
from base64 import b64decode, b64encode
from typing import Any
from urllib.parse import quote_plus, unquote_plus

from portable_fn.data import MAX_JSON_DEPTH, to_json

# Valid base64 too, for members that are decoded.
REDACTED = "REDACTED"

# A text nested deeper, or gzip that inflates to more bytes in total, is replaced as a whole.
MAX_TEXTS = 8
MAX_INFLATED = 8 * 1024 * 1024

# Which values of a secret's name are secrets.
_ANY = re.compile(r"(?s:.*)")
_NO_NUMBER = re.compile(r"(?s:(?!-?\d+(?:\.\d+)?\Z).*)")
_NO_COUNT = re.compile(r"(?s:(?!\d{1,3}\Z).*)")
_PIN = re.compile(r"\d{4,12}")
_RANDOM = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[\w+/=.~%-]{20,}")
# A key in a query, but not the name of an object such as "photos/2024.png".
_TOKEN = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[\w+=~%-]{12,}")

# Names in lower case with dashes between words, and which of their values are secrets; the first match counts. Source of the
# credentials: https://owasp.org/www-community/vulnerabilities/Information_exposure_through_query_strings_in_url
_Names = tuple[tuple[re.Pattern[str], re.Pattern[str] | None], ...]
_NAMES: _Names = (
    (
        # Facts about a secret, and names that only look like one. Without them a payload can't be read, or is routed differently.
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
    # Not compass, bypass, overpass, underpass or trespass.
    (re.compile(r"(?<!com)(?<!by)(?<!over)(?<!under)(?<!tres)pass\d*$|(?:^|-)pw\d*$"), _NO_COUNT),
    (re.compile(r"(?:^|-)seeds?$"), _NO_NUMBER),
    (re.compile(r"(?:^|-)sessions?$"), _RANDOM),
    (re.compile(r"(?:^|-)pin$"), _PIN),
    (re.compile(r"^code$"), _RANDOM),
)
_NAMES_OF_HEADERS: _Names = ((re.compile(r"session|identity|principal"), _ANY), *_NAMES)
_NAMES_OF_QUERIES: _Names = ((re.compile(r"^(?:key|sid)$"), _TOKEN), *_NAMES)

# The ordering key of Azure Service Bus.
_SESSIONS = ("SessionId", "SessionIdArray", "ReplyToSessionId", "metadata.sessionid")
# The type of the value beside it: "String", "text/plain".
_TYPES = ("dataType", "Type", "type", "contentType")
_TYPE = re.compile(r"[A-Za-z]{1,40}(?:[./][A-Za-z.+-]{1,40})?")
# {"name": "x-api-key", "value": "…"}
_NAME_MEMBERS = ("name", "Name", "key", "Key", "NAME", "KEY")
_VALUE_MEMBERS = ("value", "Value", "VALUE", "values", "Values")
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
# Anyone with such an address may post: https://api.slack.com/messaging/webhooks, https://discord.com/developers/docs/resources/webhook
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
    """Return a pattern for values in quotes, in brackets, or of the form `plain`."""
    quoted = r"[bru]{0,2}(?P<mark>\\{0,9}[\"'])(?P<quoted>(?:(?!(?P=mark))(?:\\(?s:.)|[^\\]))*+)"
    return re.compile(rf"{quoted}|[\[{{(](?P<bracketed>[^\]}})]*+)|(?P<plain>{plain})")


_OF_CONNECTIONS = _values(r"[^;\r\n\"]++")
_OF_FORMS = _values(r"(?:[^\s&;,#\"'<]|'(?![\s,;)\]}]|\Z)|,(?![\w.-]++=))++")
_OF_LINES = _values(r"[^\r\n]++")
_OF_PROSE = _values(rf"(?:{_SCHEMED.pattern})?[^\s;,\"'<>]++")
# The characters of a value that are checked before it's known to be a secret: another pair may start in it.
_BEGINNING = 128


def redacted(value: Any, name: str = "") -> Any:
    """Return the JSON value with its secrets replaced, also inside texts and base64.

    Args:
        value: The JSON value.
        name: The name under which it stands.
    """
    return _Redaction().member(name, value)


def missing_words(value: Any, kept: Any) -> frozenset[str]:
    """Return the words that redaction removed from a value, because an answer may repeat them."""
    return _words(value) - _words(kept)


def without_words(value: Any, words: frozenset[str]) -> Any:
    """Return the JSON value with the words replaced in all of its texts."""
    if isinstance(value, str):
        return _WORD.sub(lambda match: REDACTED if match[0] in words else match[0], value)
    if isinstance(value, dict):
        return {name: without_words(member, words) for name, member in value.items()}
    return [without_words(item, words) for item in value] if isinstance(value, list) else value


def _words(value: Any) -> frozenset[str]:
    # Numbers and shorter words may mean something else in an answer.
    return frozenset(word for word in _WORD.findall(to_json(value)) if not _NUMBER.fullmatch(word))


def _secret(name: str, names: _Names = _NAMES) -> re.Pattern[str] | None:
    """Return the pattern of the name's values that are secrets, or None."""
    words = _WORDS.sub("-", name).strip("-").lower()
    return next((form for pattern, form in names if pattern.search(words)), None)


def _leaf(text: str) -> str:
    if _NUMBER.fullmatch(text):
        return "0"
    scheme = _SCHEMED.match(text)
    return f"{scheme[0]}{REDACTED}" if scheme else REDACTED if text.strip() else text


class _Redaction:
    """The redaction of one value; counts the nesting and the inflated bytes."""

    def __init__(self) -> None:
        self._nesting = 0
        self._texts = 0
        self._inflated = 0

    def member(self, name: str, value: Any, secret: re.Pattern[str] | None = None, names: _Names = _NAMES) -> Any:
        """Redact the value of a name.

        Args:
            name: The name.
            value: The JSON value.
            secret: The pattern of its secret values, if the parent's name makes it secret.
            names: The names that are secret at this place, such as in headers.
        """
        lower = name.lower()
        if lower in _COOKIES and isinstance(value, (str, list, tuple)):
            # AWS's HTTP APIs have a list in requests and in answers.
            is_set = lower == "set-cookie" or (lower == "cookies" and not isinstance(value, str))
            return self._cookies(value, is_set=is_set)
        # The claims of a verified token aren't secret.
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
                redacted_json = self._json(value, secret) if secret is _ANY else None
                return _leaf(value) if redacted_json is None else redacted_json
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
        name_member = next((name for name in _NAME_MEMBERS if isinstance(value.get(name), str)), "")
        kept: dict[Any, Any] = {}
        for name, member in value.items():
            if not isinstance(name, str) or (name == "session_id" and "delivery_count" in value):
                kept[name] = self._value(member, secret, names)
            elif name_member and name in _VALUE_MEMBERS:
                kept[name] = self.member(value[name_member], member, secret, names)
            elif secret is not None and (
                _secret(member, names) is not None
                if name == name_member
                else name in _TYPES and isinstance(member, str) and _TYPE.fullmatch(member)
            ):
                kept[name] = member
            else:
                key = REDACTED if secret is not None and _RANDOM.fullmatch(name) else _by_form(name)
                kept[f"{key}-{len(kept)}" if key in kept else key] = self.member(name, member, secret, names)
        return kept

    def _list(self, value: Any, secret: re.Pattern[str] | None, names: _Names) -> list[Any]:
        # A header as a pair.
        if names is _NAMES_OF_HEADERS and len(value) == 2 and all(isinstance(item, str) for item in value):
            return [value[0], self.member(value[0], value[1], secret, names)]
        return [self._value(item, secret, names) for item in value]

    def _cookies(self, value: Any, *, is_set: bool) -> Any:
        """Redact cookies, and keep names and attributes; a list of `cookies` may be of requests or answers."""
        if isinstance(value, str):
            # A line may have several; a comma may also belong to "Expires".
            lines = re.split(r",\s*+(?=[^\s;,=]++=)", value) if is_set else [value]
            return ", ".join(_cookie_line(line, is_set=is_set) for line in lines)
        if isinstance(value, (list, tuple)):
            return [self._cookies(cookie, is_set=is_set) for cookie in value]
        return self._value(value, _ANY, _NAMES_OF_HEADERS)

    def text(self, text: str) -> str:
        """Redact a text in its own format."""
        for read in (self._json, self._base64, self._multipart, self._lines):
            redacted_text = read(text)
            if redacted_text is not None:
                return redacted_text
        return self._prose(text)

    def _inside(self, text: str) -> str:
        """Redact a nested text."""
        if self._texts >= MAX_TEXTS:
            return REDACTED
        self._texts += 1
        try:
            return self.text(text)
        finally:
            self._texts -= 1

    def _json(self, text: str, secret: re.Pattern[str] | None = None) -> str | None:
        """Redact JSON; return None for any other text."""
        start = text.lstrip(" \t\r\n\ufeff")
        inside = start.rstrip(" \t\r\n")
        if not start.startswith(("{", "[", '"')):
            return None
        has_repeated_names = False

        def as_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            nonlocal has_repeated_names
            members = dict(pairs)
            has_repeated_names = has_repeated_names or len(members) < len(pairs)
            return members

        try:
            value = json.loads(inside, object_pairs_hook=as_dict)
        except ValueError:
            return None
        except RecursionError:
            return REDACTED
        if self._texts >= MAX_TEXTS:
            return REDACTED
        self._texts += 1
        try:
            kept = self._value(value, secret, _NAMES)
        finally:
            self._texts -= 1
        if kept == value and not has_repeated_names:
            return text
        # In the text's own style, because a replay compares it with an answer in that style.
        separators = None if '": ' in text else (",", ":")
        written = json.dumps(kept, ensure_ascii=text.isascii(), separators=separators)
        return text[: len(text) - len(start)] + written + start[len(inside) :]

    def _base64(self, text: str) -> str | None:
        """Redact base64 of a text or of gzip; return None for any other text, or one without secrets."""
        match = _BASE64.fullmatch(text)
        if match is None:
            return None
        digits = "".join(match[1].split()).replace("-", "+").replace("_", "/")
        try:
            octets = b64decode(digits + "=" * (-len(digits) % 4), validate=True)
            is_gzip = octets.startswith(b"\x1f\x8b\x08")
            inflated = self._inflate(octets) if is_gzip else octets
            if inflated is None:
                return REDACTED
            # A file in a form may have any bytes.
            errors = "surrogateescape" if b"form-data;" in inflated else "strict"
            inside = inflated.decode(errors=errors)
        except ValueError:
            return None
        kept = self._inside(inside)
        if kept == inside:
            return None
        octets = kept.encode(errors="surrogatepass" if errors == "strict" else errors)
        written = b64encode(_gzip(octets) if is_gzip else octets).decode()
        if "-" in text or "_" in text:
            written = written.replace("+", "-").replace("/", "_")
        return written if "=" in text or not len(digits) % 4 else written.rstrip("=")

    def _inflate(self, octets: bytes) -> bytes | None:
        """Inflate gzip; return None for other bytes, or if it's too large."""
        inflated = bytearray()
        while octets:
            member = zlib.decompressobj(wbits=31)
            try:
                inflated += member.decompress(octets, MAX_INFLATED - self._inflated - len(inflated) + 1)
            except zlib.error:
                return None
            if not member.eof or len(inflated) + self._inflated > MAX_INFLATED:
                return None
            octets = member.unused_data.lstrip(b"\0")
        self._inflated += len(inflated)
        return bytes(inflated)

    def _multipart(self, text: str) -> str | None:
        """Redact a multipart form, each part by its name; return None for any other text."""
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
        """Redact lines of which some are JSON, with "data:" before it in an event stream; None if none is JSON."""
        if "\n" not in text:
            return None
        kept: list[str] = []
        others: list[str] = []
        for line in text.split("\n"):
            start = "data:" if line.startswith("data:") else ""
            inside = self._json(line[len(start) :])
            if inside is None:
                others.append(line)
                continue
            if others:
                kept.append(self._prose("\n".join(others)))
                others = []
            kept.append(start + inside)
        if not kept:
            return None
        return "\n".join([*kept, self._prose("\n".join(others))] if others else kept)

    def _prose(self, text: str) -> str:
        """Redact a text of any other format."""
        if ";base64," in text:
            text = _DATA_URL.sub(lambda match: self._base64(match[0]) or match[0], text)
        text = _by_form(text)
        text = _ADDRESS.sub(lambda match: _without_user(match[0]), text)
        if "%" in text:
            text = _ESCAPED.sub(lambda match: self._escaped(match[0]), text)
        text = _TAG.sub(_tag, text)
        return _pairs(text)

    def _escaped(self, text: str) -> str:
        if "%" not in text:
            return text
        inside = unquote_plus(text, errors="surrogateescape")
        if inside == text:
            return text
        kept = self._inside(inside)
        return text if kept == inside else quote_plus(kept, errors="surrogateescape")


def _gzip(octets: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=31)
    return compressor.compress(octets) + compressor.flush()


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
    """Return the text without the secrets that are recognised by their form."""
    text = _PEM.sub(REDACTED, text)
    text = _BEARER.sub(rf"\1\2{REDACTED}", text)
    text = _BASIC.sub(_basic, text)
    text = _DOTTED.sub(_jwt, text)
    if ".com/" in text:
        text = _HOOK.sub(lambda match: f"{match[1] or match[2]}/{REDACTED}", text)
    return _BOT.sub(REDACTED, _KEYS.sub(_key, text))


def _basic(match: re.Match[str]) -> str:
    """Redact user and password, or a ticket, but not the words "Basic plan"."""
    digits = match[3].replace("%3D", "=").rstrip("=")
    try:
        is_secret = b":" in b64decode(digits + "=" * (-len(digits) % 4), "-_" if {"-", "_"} & set(digits) else None)
    except ValueError:
        is_secret = False
    return f"{match[1]}{match[2]}{REDACTED}" if is_secret or _RANDOM.fullmatch(digits) else match[0]


def _jwt(match: re.Match[str]) -> str:
    """Redact parts between dots if one starts with "eyJ", which is '{"' in base64."""
    at = match[0].find("eyJ")
    return match[0][:at] + REDACTED if at >= 0 and match[0].count(".", at) >= 2 else match[0]


def _key(match: re.Match[str]) -> str:
    # "sk-circle-fade-dot" is a CSS class.
    return match[0] if match[0].startswith("sk-") and not any(map(str.isdigit, match[0])) else REDACTED


def _without_user(address: str) -> str:
    """Strip user:password from what follows "://" in a URL, even with "/" in the password."""
    authority = re.split(r"[/?#]", address, maxsplit=1)[0]
    if "@" in authority:
        at = authority.rindex("@")
    elif ":" in authority and not _PORT.fullmatch(authority) and "@" in address and not authority.startswith("["):
        at = address.rindex("@")
    else:
        return address
    return (f"{REDACTED}:{REDACTED}" if ":" in address[:at] else REDACTED) + address[at:]


def _tag(match: re.Match[str]) -> str:
    start, name, cdata, inside, plain = match.groups("")
    secret = _secret(name)
    value = inside or plain
    return start + cdata + (_leaf(value) if secret is not None and secret.fullmatch(value.strip()) else value)


def _pairs(text: str) -> str:
    """Redact the values of secret names in a query, form, connection string, log or program."""
    kept: list[str] = []
    done = 0
    connection = _CONNECTION.match(text)
    for pair in _PAIR.finditer(text):
        if pair.start() < done:
            continue
        is_assigned = pair["mark"] == "=" and not pair["gap"]
        secret = _secret(unquote_plus(pair["name"]), _NAMES_OF_QUERIES if is_assigned else _NAMES)
        if secret is None:
            continue
        before = text[max(pair.start() - 5, 0) : pair.start()].rstrip()
        if is_assigned:
            is_first = connection is not None and pair.start() < connection.end()
            values = _OF_CONNECTIONS if is_first or (before[-1:] == ";" and before[-4:] != "amp;") else _OF_FORMS
        else:
            values = _OF_LINES if pair["name"].lower().endswith(("cookie", "authorization")) else _OF_PROSE
        beginning = values.match(text, pair.end(), pair.end() + _BEGINNING)
        if beginning is None or not secret.fullmatch(beginning[beginning.lastgroup or 0]):
            continue
        # Skip scopes such as "password:reset", and parts of an ARN.
        is_word = pair["mark"] == ":" and not pair["gap"] and not pair["quote"] and beginning.lastgroup == "plain"
        if is_word and (before[-1:] == ":" or not any(map(str.isdigit, beginning[0]))):
            continue
        value = values.match(text, pair.end()) or beginning
        start, end = value.span(value.lastgroup or 0)
        kept += text[done:start], _leaf(text[start:end])
        done = end
    return "".join([*kept, text[done:]])
