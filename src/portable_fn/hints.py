"""Explain errors to those who declare a handler as in another framework. Imported only for an error."""

from __future__ import annotations

from portable_fn.errors import EncodeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from portable_fn.on import Trigger

__all__ = ["not_a_context", "not_an_event", "parameters", "path_parameter", "refuse_lambda_answer", "subscript"]

_SCALARS = (
    "int",
    "float",
    "str",
    "bool",
    "bytes",
    "complex",
    "UUID",
    "Decimal",
    "date",
    "datetime",
    "time",
    "timedelta",
)
_NAMES = ("event", "context")


def not_an_event(name: str, annotation: Any, triggers: Sequence[Trigger], kinds: Iterable[str]) -> str:
    """Explain what is wrong with the annotation of a handler's first parameter, and how to write it."""
    kind = _kind(triggers)
    shown = _shown(annotation)
    wrong = f"{name} takes {shown}, not an event"
    if _is_many(annotation):
        return f"{wrong}; a batch handler takes Batch[Message]"
    if _is_scalar(annotation):
        return f"{wrong}; {_parameters(kind)}"
    if _is_mapping(annotation):
        return f"{wrong}; annotate {kind}: {_DATA[kind]}, and {_event(kind)}.native is what the provider sent"
    if _is_model(annotation):
        short = annotation.__name__
        other = "" if triggers else f", or Message[{short}] for messages"
        return f"{wrong}; annotate {kind}[{short}]{other}, and {_event(kind)}.data is the {short}"
    return (
        f"{wrong}; possible are {', '.join(sorted(kinds))}, each also with a type of data, such as Message[Order], "
        "or no annotation"
    )


def not_a_context(annotation: Any, parameter: str, triggers: Sequence[Trigger]) -> str:
    """Explain how to get what a handler's second parameter asks for."""
    kind = _kind(triggers)
    if _is_scalar(annotation):
        return f"; {_parameters(kind, parameter)}"
    if (
        _is_mapping(annotation)
        or type(annotation).__name__ == "_ProtocolMeta"
        or _shown(annotation).endswith("Context")
    ):
        return "; the context is a portable_fn.Context, and ctx.native is the provider's own"
    if _is_model(annotation):
        return f"; data of that type is {kind}[{annotation.__name__}]"
    return ""


def parameters(triggers: Sequence[Trigger]) -> str:
    """Explain how to get more than the event and the context."""
    kind = _kind(triggers)
    if kind != "Request":
        return "; for more, make a function that returns the handler"
    return f"; {_parameters(kind)}, a body of a type is Request[NewItem]; for more, make a function that returns the handler"


def path_parameter(name: str, parameter: str) -> str:
    """Explain what to write instead of a parameter named as a path parameter."""
    return (
        f"{name}({parameter}): a handler takes the event, and if it wants it the context; the path's {parameter} is "
        f"request.params[{parameter!r}]"
    )


def subscript(event: Any, key: object) -> str:
    """Explain what to read instead of `event[key]`."""
    kind = getattr(event, "kind_name", "Batch")
    name = _event(kind)
    known = MEMBERS.get(key, "") if isinstance(key, str) else ""
    if kind == "Batch":
        instead = "it is a sequence of messages, such as batch[0].data"
    elif key == "Records":
        instead = "portable_fn calls the handler once for each record, and Batch[Message] takes them together"
    elif known and (known in event._fields or hasattr(type(event), known)):
        instead = f"read {name}.{known}"
    else:
        instead = f"read {name}.data, the body's JSON"
    article = "an" if kind[0] in "AEIO" else "a"
    return f"{article} {kind} is not a dict: {instead}; {name}.native is what the provider sent"


# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html, and ALB's.
_OF_LAMBDA = frozenset(
    ("statusCode", "statusDescription", "headers", "multiValueHeaders", "cookies", "body", "isBase64Encoded")
)


def refuse_lambda_answer(result: Mapping[Any, Any]) -> None:
    """Refuse the answer of an AWS handler. Written as JSON, it would lose its status, such as 401.

    Raises:
        EncodeError: The result is such an answer.
    """
    if str(result["statusCode"]).isdecimal() and result.keys() <= _OF_LAMBDA:
        raise EncodeError(
            "the handler returned an answer in Lambda's own form; return Response(status, headers, body=…), or "
            "Response.json(…) for a body that really has these members"
        )


# The neutral attributes for the members of providers' payloads.
MEMBERS = {
    "body": "body",
    "headers": "headers",
    "multiValueHeaders": "headers",
    "queryStringParameters": "query",
    "multiValueQueryStringParameters": "query",
    "rawQueryString": "raw_query",
    "pathParameters": "params",
    "path": "path",
    "rawPath": "raw_path",
    "httpMethod": "method",
    "cookies": "cookies",
    "detail": "data",
    "data": "data",
    "messageAttributes": "attributes",
    "attributes": "attributes",
    "messageId": "id",
    "id": "id",
    "source": "source",
    "time": "time",
    "subject": "subject",
    "bucket": "bucket",
    "key": "key",
    "name": "name",
}

_DATA = {
    "Request": "request.data is the body's data",
    "Message": "message.data is the body read as JSON",
    "Task": "task.data is the input",
}


def _kind(triggers: Sequence[Trigger]) -> str:
    kinds = {trigger.kind.__name__ for trigger in triggers}
    (kind,) = kinds if len(kinds) == 1 else ("Request",)
    return kind


def _event(kind: str) -> str:
    return {"Request": "request", "Message": "message", "Task": "task", "Batch": "batch"}.get(kind, "event")


def _parameters(kind: str, parameter: str = "") -> str:
    if kind != "Request":
        return f"annotate {kind}, and {_event(kind)}.data has the values"
    params = f"request.params[{parameter!r}]" if parameter and parameter not in _NAMES else "request.params"
    return f"annotate Request: path parameters are in {params}, the query's in request.query"


def _shown(annotation: Any) -> str:
    if isinstance(annotation, type) and not hasattr(annotation, "__args__"):
        return f"{annotation.__module__}.{annotation.__qualname__}".removeprefix("builtins.")
    return repr(annotation)


def _plain(annotation: Any) -> Any:
    return getattr(annotation, "__origin__", annotation)


def _is_scalar(annotation: Any) -> bool:
    inside = getattr(annotation, "__args__", None) if "Union" in type(annotation).__name__ else None
    return all(
        member is type(None) or (isinstance(member, type) and any(base.__name__ in _SCALARS for base in member.__mro__))
        for member in inside or (annotation,)
    )


def _is_mapping(annotation: Any) -> bool:
    return _plain(annotation) is dict or getattr(_plain(annotation), "__name__", "") in ("Mapping", "MutableMapping")


def _is_many(annotation: Any) -> bool:
    arguments = getattr(annotation, "__args__", ())
    return getattr(_plain(annotation), "__name__", "") in ("list", "List", "Sequence", "Iterable") and any(
        getattr(_plain(argument), "__module__", "") == "portable_fn.events" for argument in arguments
    )


def _is_model(annotation: Any) -> bool:
    """Return whether pydantic can validate data of the class: a model, a dataclass, a TypedDict."""
    if not isinstance(annotation, type):
        return False
    if any(base.__module__.startswith("portable_fn.") for base in annotation.__mro__):
        return False
    marks = ("model_fields", "__pydantic_fields__", "__dataclass_fields__", "__total__", "__attrs_attrs__", "_fields")
    return any(hasattr(annotation, mark) for mark in marks)
