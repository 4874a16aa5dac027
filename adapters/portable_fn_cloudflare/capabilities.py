"""Declare what Cloudflare's services can do."""

from __future__ import annotations

from portable_fn.adapter.capabilities import Capability, Service, emulated, impossible, native

NO_DEADLINE = impossible("Cloudflare gives a Worker no deadline")
NO_ATTEMPT = impossible("Cloudflare doesn't send it")

# What Queues do with a message, whatever it holds. https://developers.cloudflare.com/queues/
QUEUE: dict[str, Capability] = {
    "retry": native("up to the queue's max_retries; then its dead_letter_queue takes the message, or it is deleted"),
    "reject": emulated(
        "sent to the queue of the binding dead_letter; otherwise retried, until the queue's own dead_letter_queue takes it",
        needs="dead_letter",
    ),
    "order": impossible("Queues keep no order"),
    "deadline": NO_DEADLINE,
}
DELAY = native("up to 12 hours")

EACH = {"partial failure": native("ack() or retry() of each message")}

# A Worker has no threads: a handler that isn't async runs in the event loop.
HAS_THREADS = False

SERVICES = (
    Service(
        "fetch",
        "Request",
        "http",
        {
            "binary body": native(),
            "typed principal": emulated("a client certificate that the edge verified"),
            "streaming": native(),
            "reply": native(),
            "deadline": NO_DEADLINE,
        },
    ),
    *(
        Service(
            name,
            "Message",
            "queue",
            {
                **QUEUE,
                **EACH,
                "retry delay": DELAY,
                "attempt count": native(),
                "batch": native("up to 100 messages"),
                "binary body": native("sent with contentType: 'bytes'"),
                "attributes": impossible("a message is only its body"),
            },
        )
        for name in ("queue", "queue_raw")
    ),
    Service(
        "email",
        "Message",
        "queue",
        {
            "partial failure": emulated("each email is a separate call"),
            "retry": native("the call fails, and the sender's server sees that", by_documentation=True),
            "retry delay": impossible("the sender's server decides when it sends again"),
            "reject": native("setReject(), a permanent SMTP error with the reason", by_documentation=True),
            "order": impossible("emails have no order"),
            "attempt count": NO_ATTEMPT,
            "deadline": NO_DEADLINE,
            "batch": emulated("a batch of one"),
            "binary body": emulated("the whole message of RFC 5322, read from its stream"),
            "attributes": emulated("its headers, stripped of spaces; repeats joined by commas"),
        },
    ),
    Service(
        "r2_queue",
        "ObjectEvent",
        "object",
        {**QUEUE, **EACH, "retry delay": DELAY, "deletes": native("with only the key")},
        in_messages=True,
    ),
    Service(
        "queue",
        "CloudEvent",
        "event",
        {
            **QUEUE,
            **EACH,
            "retry delay": DELAY,
            "binary body": native("base64 in the structured form"),
            "attributes": native("its extensions"),
            "reply": impossible("no caller waits for an answer"),
        },
        in_messages=True,
    ),
    Service(
        "scheduled",
        "ScheduleEvent",
        "schedule",
        {
            "retry": native("the call fails", by_documentation=True),
            "retry delay": impossible("Cloudflare decides when it retries"),
            "reject": emulated("noRetry(), and the call fails, which Cloudflare shows"),
            "attempt count": NO_ATTEMPT,
            "deadline": NO_DEADLINE,
        },
    ),
    Service(
        "rpc",
        "Task",
        "task",
        {
            "retry": native("the calling Worker gets the error by its name and message, and decides"),
            "retry delay": impossible("the calling Worker decides"),
            "attempt count": NO_ATTEMPT,
            "deadline": NO_DEADLINE,
            "reply": native("as JSON"),
        },
    ),
)
