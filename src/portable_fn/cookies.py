"""Cookies by RFC 6265bis: `Cookie` and `Set-Cookie`."""

from __future__ import annotations

from portable_fn.pairs import MultiDict, is_token
from portable_fn.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from typing import Literal

    SameSite = Literal["Strict", "Lax", "None"]

__all__ = ["Cookie", "parse_cookies"]


class Cookie(Record):
    """A cookie that a response sets.

    Args:
        max_age: In seconds.
        expires: An aware datetime.

    Raises:
        ValueError: RFC 6265bis doesn't allow the cookie: its value has spaces, quotes, commas, semicolons, backslashes or non-ASCII
            characters (percent-encode them), it has `SameSite=None` or `Partitioned` without `Secure`, or a `__Secure-` or `__Host-`
            name without what the prefix needs.
    """

    _fields = (
        "name", "value", "max_age", "expires", "domain", "path", "secure", "http_only", "same_site", "partitioned"
    )  # fmt: skip
    __slots__ = _fields

    def __init__(
        self,
        name: str,
        value: str,
        *,
        max_age: int | None = None,
        expires: datetime | None = None,
        domain: str | None = None,
        path: str | None = "/",
        secure: bool = False,
        http_only: bool = False,
        same_site: SameSite | None = None,
        partitioned: bool = False,
    ) -> None:
        if not is_token(name):
            raise ValueError(f"{name!r} is not a cookie name: letters, digits and !#$%&'*+-.^_`|~ are possible")
        if not isinstance(value, str):
            raise ValueError(f"cookie {name}: the value must be a str, not {type(value).__name__}")
        if not value.isascii() or not value.isprintable() or any(char in ' ",;\\' for char in value):
            raise ValueError(
                f"cookie {name}: the value has a character that no cookie can carry (spaces, quotes, commas, "
                "semicolons, backslashes, non-ASCII); percent-encode it with urllib.parse.quote"
            )
        if max_age is not None and type(max_age) is not int:
            raise ValueError(f"cookie {name}: max_age must be a whole number of seconds, not {max_age!r}")
        if domain == "":
            raise ValueError(f"cookie {name}: domain is empty; omit it")
        for attribute in (domain, path):
            if attribute and (not attribute.isascii() or not attribute.isprintable() or ";" in attribute):
                raise ValueError(f"cookie {name}: {attribute!r} can't be a domain or path")
        if same_site not in (None, "Strict", "Lax", "None"):
            raise ValueError(f"cookie {name}: same_site must be 'Strict', 'Lax' or 'None', not {same_site!r}")
        if expires is not None and expires.tzinfo is None:
            raise ValueError(f"cookie {name}: expires has no time zone")
        if not secure and (same_site == "None" or partitioned or name.lower().startswith(("__secure-", "__host-"))):
            raise ValueError(
                f"cookie {name}: browsers drop SameSite=None, Partitioned and __ prefixes without secure=True"
            )
        if name.lower().startswith("__host-") and (domain is not None or path != "/"):
            raise ValueError(f"cookie {name}: the prefix __Host- needs path='/' and no domain")
        self.name = name
        self.value = value
        self.max_age = max_age
        self.expires = expires
        self.domain = domain
        self.path = path
        self.secure = secure
        self.http_only = http_only
        self.same_site = same_site
        self.partitioned = partitioned

    @classmethod
    def expired(cls, name: str, *, domain: str | None = None, path: str | None = "/", secure: bool = False) -> Cookie:
        """Return the cookie that deletes one of the same name, domain and path."""
        from datetime import UTC, datetime

        return cls(
            name, "", max_age=0, expires=datetime(1970, 1, 1, tzinfo=UTC), domain=domain, path=path, secure=secure
        )

    def __str__(self) -> str:
        """Return the value of a Set-Cookie header."""
        parts = [f"{self.name}={self.value}"]
        if self.expires is not None:
            parts.append(f"Expires={http_date(self.expires)}")
        if self.max_age is not None:
            parts.append(f"Max-Age={self.max_age}")
        if self.domain is not None:
            parts.append(f"Domain={self.domain}")
        if self.path is not None:
            parts.append(f"Path={self.path}")
        if self.secure:
            parts.append("Secure")
        if self.http_only:
            parts.append("HttpOnly")
        if self.same_site is not None:
            parts.append(f"SameSite={self.same_site}")
        if self.partitioned:
            parts.append("Partitioned")
        return "; ".join(parts)


def http_date(when: datetime) -> str:
    """Format a time as IMF-fixdate of RFC 9110, section 5.6.7, in English whatever the locale."""
    from datetime import UTC

    when = when.astimezone(UTC)
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[when.weekday()]
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{day}, {when.day:02} {months[when.month - 1]} {when.year:04} {when:%H:%M:%S} GMT"


def parse_cookies(headers: Iterable[str]) -> MultiDict:
    """Parse Cookie headers. A pair of quotes around a value is dropped, as servers usually do."""
    pairs = []
    for header in headers:
        for part in header.split(";"):
            name, equals, value = part.strip().partition("=")
            if equals and name:
                if value[:1] == '"' == value[-1:] and len(value) > 1:
                    value = value[1:-1]
                pairs.append((name, value))
    return MultiDict(pairs, "cookie")
