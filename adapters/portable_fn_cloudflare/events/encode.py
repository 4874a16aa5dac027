"""Acknowledge or retry messages; encode results of tasks."""

from __future__ import annotations

from portable_fn.errors import EncodeError
from portable_fn.outcomes import Retry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from portable_fn.context import Context
    from portable_fn.outcomes import Outcome
    from portable_fn_cloudflare.native import JavaScript, QueueMessage


# Of the serialized result, which is about as long as its JSON: https://developers.cloudflare.com/workers/runtime-apis/rpc/#limitations
MAX_RESULT = 32 * 1024 * 1024


# 12 hours: https://developers.cloudflare.com/queues/platform/limits/
MAX_DELAY = 43_200


def acknowledge(native: QueueMessage, outcome: Outcome, context: Context) -> None:
    """Acknowledge or retry one message.

    https://developers.cloudflare.com/queues/configuration/batching-retries/#explicit-acknowledgement-and-retries
    """
    if not isinstance(outcome, Retry):
        native.ack()
    elif (seconds := outcome.whole_seconds) is None:
        native.retry()
    else:
        if seconds > MAX_DELAY:
            context.log.warning("a retry waits for %s seconds, not %s: Queues can't wait longer", MAX_DELAY, seconds)
        native.retry(delaySeconds=min(seconds, MAX_DELAY))


def result(value: object, js: JavaScript) -> object:
    """Convert a task's result, by way of JSON, to the JavaScript value that the RPC caller gets."""
    from portable_fn.data import to_json

    try:
        text = to_json(value)
        if len(text) > MAX_RESULT:
            raise EncodeError(f"the task's result has {len(text)} characters as JSON; RPC takes up to {MAX_RESULT}")
        return js.JSON.parse(text)
    except (TypeError, ValueError, RecursionError) as exc:
        raise EncodeError(f"a task returns a JSON value, not {type(value).__name__}: {exc}") from exc


class Thrown:
    """An error that the RPC caller gets as a JavaScript Error, with the name of its class and its message.

    A method returns it. If Python raised it, the caller would get a PythonError with the whole traceback; a promise of
    Promise.reject does the same (workerd 1.20261117.1). The SDK passes on its `js_object`.
    """

    def __init__(self, error: BaseException, js: JavaScript) -> None:
        self.error = error
        thrown = js.Error.new(str(error))
        thrown.name = type(error).__name__
        resolvers = js.Promise.withResolvers()
        resolvers.reject(thrown)
        self.js_object = resolvers.promise
