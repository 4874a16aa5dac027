"""Write what the adapters and the harnesses declare into docs/reference: `make providers`. A test compares."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [
    str(Path(__file__).parent),
    *(str(Path(__file__).parents[1] / folder) for folder in ("src", "adapters")),
]

from event_harnesses import all_that_cannot
from harnesses import IN_PROCESS, Harness
from portable_fn.adapter.capabilities import FEATURES, Capability, Service
from portable_fn.cli.declared import Declared, declared
from portable_fn.cli.matrix import escaped, markdown, noted
from portable_fn.providers import ADAPTERS
from portable_fn.testing.stories import EVENT_STORIES, HTTP_STORIES
from tests.runtimes.harnesses import REAL

DOCS = Path(__file__).parents[1] / "docs" / "reference"
OVERVIEW = DOCS / "providers.md"
PAGE = DOCS / "providers-in-full.md"
# The generated part of a page that is otherwise written by hand.
BEGIN, END = "<!-- generated: capabilities -->", "<!-- end of generated: capabilities -->"

TITLES = {
    "aws": "AWS Lambda",
    "gcp": "Google Cloud",
    "azure": "Azure Functions",
    "cloudflare": "Cloudflare Workers",
    "asgi": "Containers",
}

# What a feature means to a handler.
LABELS = {
    "partial failure": "one event of a batch fails alone",
    "retry": "`Retry`",
    "retry delay": "`Retry(after=…)`",
    "reject": "`Reject`",
    "order": "order",
    "attempt count": "`message.attempt`",
    "deadline": "`ctx.deadline`",
    "batch": "a `Batch` of several",
    "binary body": "bytes as body",
    "attributes": "`message.attributes`",
    "before-image": "`change.before`",
    "deletes": "deletions",
    "typed principal": "`request.principal`",
    "streaming": "streamed responses",
    "reply": "a result to the caller",
}

# What people call a service in the overview; None if another one there, which carries its events, stands for it. The CloudEvents
# that Cloudflare's queues carry have the queue's own name.
PRODUCTS: dict[str, dict[str, str | None]] = {
    "aws": {
        "http_api": "API Gateway",
        "rest_api": "API Gateway",
        "function_url": "function URLs",
        "alb": "ALB",
        "alb_multi_value": "ALB",
        "lattice_v1": "Lattice v1",
        "lattice_v2": "Lattice v2",
        "sqs": "SQS",
        "sqs_fifo": "SQS FIFO",
        "sns": "SNS",
        "sns_sqs": None,
        "sns_sqs_fifo": None,
        "sns_sqs_raw": None,
        "kinesis": "Kinesis",
        "kafka": "Kafka",
        "self_managed_kafka": "Kafka",
        "activemq": "MQ",
        "rabbitmq": "MQ",
        "logs": "Logs",
        "ses": "SES",
        "pipes_sqs": None,
        "pipes_kinesis": None,
        "pipes_kafka": None,
        "pipes_activemq": None,
        "pipes_rabbitmq": None,
        "pipes_dynamodb": None,
        "s3": "S3",
        "s3_sqs": None,
        "s3_sns": None,
        "s3_sns_sqs": None,
        "s3_sns_sqs_raw": None,
        "s3_eventbridge": None,
        "s3_eventbridge_sqs": None,
        "s3_eventbridge_sns_sqs": None,
        "dynamodb": "DynamoDB",
        "dynamodb_kinesis": None,
        "docdb": "DocumentDB",
        "scheduler": "schedules",
        "scheduled_rule": "schedules",
        "scheduler_input": "schedules",
        "scheduler_sqs": None,
        "eventbridge": "EventBridge",
        "eventbridge_sqs": None,
        "eventbridge_sns": None,
        "cloudevent_sqs": None,
        "cloudevent_sns": None,
        "cloudevent_kinesis": None,
        "invoke": "tasks",
    },
    "gcp": {
        "http": "HTTP",
        "http_async": "HTTP",
        "pubsub_push": "Pub/Sub push",
        "pubsub_push_unwrapped": "unwrapped push",
        "pubsub_eventarc": "Pub/Sub by Eventarc",
        "pubsub_legacy": None,
        "cloud_tasks": "Cloud Tasks",
        "storage_eventarc": "Cloud Storage",
        "storage_notification": "Cloud Storage",
        "storage_legacy": None,
        "firestore": "Firestore",
        "firestore_base64": "Firestore",
        "firestore_legacy": None,
        "scheduler": "schedules",
        "eventarc": "Eventarc",
        "eventarc_structured": "Eventarc",
        "eventarc_batched": "batched CloudEvents",
        "pubsub_structured": None,
        "workflows": "Workflows",
        "bigquery": "BigQuery",
    },
    "azure": {
        "http": "HTTP",
        "storage_queue": "Queue storage",
        "service_bus_queue": "Service Bus",
        "service_bus_topic": "Service Bus",
        "service_bus_sessions": "Service Bus (sessions)",
        "service_bus_settled": "Service Bus (settled)",
        "event_hubs": "Event Hubs",
        "kafka": "Kafka",
        "event_grid": "Event Grid",
        "event_grid_cloud_events": "Event Grid (CloudEvents)",
        "event_grid_storage_queue": None,
        "blob": "Blob",
        "cosmos_db": "Cosmos DB",
        "cosmos_db_versions": "Cosmos DB (all versions)",
        "sql": "SQL",
        "mysql": "MySQL",
        "timer": "timers",
        "durable_activity": "activities",
    },
    "cloudflare": {
        "fetch": "HTTP",
        "queue": "Queues",
        "queue_raw": "Queues",
        "email": "email",
        "r2_queue": "R2",
        "queue CloudEvent": None,
        "scheduled": "crons",
        "rpc": "RPC",
    },
    "asgi": {
        "http": "HTTP",
        "cloud_event": "CloudEvents",
        "binary": "CloudEvents",
        "structured": "CloudEvents",
        "batched": "batched CloudEvents",
        "dapr_pubsub": "Dapr topics",
        "dapr_bulk": "Dapr bulks",
        "dapr_binding": "Dapr bindings",
        "dapr_job": "Dapr jobs",
        "dapr_cron": "Dapr crons",
        "post": "tasks",
    },
}

HEAD = """# Providers in full

Generated by `make providers`. The overview: [providers](providers.md). First the declarations of the adapters, which
`portable-fn providers` prints and `portable-fn check` reads; then the [stories](#stories) of the tests that can't hold somewhere.
"""

STORIES = f"""
## Stories

`portable_fn.testing.stories` has {len(HTTP_STORIES)} stories of HTTP and {len(EVENT_STORIES)} of events. Every harness below runs each story. The tables list
the stories that can't hold, with the reason. A listed story is tested to fail, an unlisted one to hold, so the list stays true. A ✓ above is
shown by a story or by a test of the adapter, unless it has a star.

The runtimes are real. The cloud before them is played: API Gateway, ALB and VPC Lattice by `portable_fn_aws.simulate` (after AWS's
documentation and recorded payloads), Google's front end and Cloudflare's edge by the headers that they add, Azure's host by a mock with the rules of
its source. Two facts rest on documentation alone: API Gateway and function URLs read the streaming format as `portable_fn_aws.runtime` writes
it; ALB with single-value headers and VPC Lattice send headers whose names differ only in case, which carries several cookies.
"""


def page() -> str:
    """Return the text of docs/reference/providers-in-full.md."""
    reasons: dict[str, int] = {}
    http = [story.name for story in HTTP_STORIES]
    events = [story.name for story in EVENT_STORIES]
    parts = [HEAD]
    for provider in ADAPTERS:
        parts += [f"## {TITLES[provider]}\n", markdown(declared(provider, "--provider"), heading="###")]
    parts += [STORIES.lstrip()]
    parts += ["### HTTP on the real runtimes\n", *_tables(REAL, http, reasons)]
    parts += ["\n### HTTP in process, through `simulate`\n", *_tables(IN_PROCESS, http, reasons)]
    played = [Harness(" ".join(cell), list, cannot) for cell, cannot in all_that_cannot().items()]
    parts += ["\n### Events in process, through `simulate`\n", *_tables(played, events, reasons)]
    parts += ["\n### Reasons\n", *(f"{number}. {reason}" for reason, number in reasons.items())]
    return "\n".join(parts) + "\n"


def _tables(harnesses: list[Harness], stories: list[str], reasons: dict[str, int]) -> list[str]:
    lines = ["| harness | story that can't hold | reason |", "|---|---|---|"]
    for harness in harnesses:
        cells = [(name, harness.cannot[name]) for name in stories if name in harness.cannot]
        for story, reason in cells or [("none", "")]:
            number = f"[{reasons.setdefault(reason, len(reasons) + 1)}](#reasons)" if reason else ""
            lines.append(f"| {harness.name} | {story} | {number} |")
    return lines


def overview() -> str:
    """Return the matrix of all providers: a row for each feature, on one screen."""
    providers = declared("all", "--provider")
    lines = [_row("", *(TITLES[each.provider] for each in providers)), "|---" * (len(providers) + 1) + "|"]
    lines += [_row(LABELS[name], *(overview_cell(each, name) for each in providers)) for name in FEATURES]
    return "\n".join(lines) + "\n"


def overview_cell(provider: Declared, feature: str) -> str:
    """Return ✓ if every product has the feature, "no" if none has it; else the products that have it, or the others if they are fewer.

    Raises:
        ValueError: Two services of one product differ.
    """
    products: dict[str, Capability] = {}
    for service in provider.services or ():
        capability = service.features.get(feature)
        name = product(provider.provider, service)
        if capability is None or name is None:
            continue
        known = products.setdefault(name, capability)
        if holds(feature, known) != holds(feature, capability):
            raise ValueError(f"{name} of {provider.provider} has {feature!r} as one service and not as another")
    having = [name for name, capability in products.items() if holds(feature, capability)]
    lacking = [
        f"**{name}**" if capability.loses else name
        for name, capability in products.items()
        if not holds(feature, capability)
    ]
    if not lacking:
        return "✓" if having else ""
    if not having:
        return "no"
    loses = any(name.startswith("*") for name in lacking)
    return f"not {', '.join(lacking)}" if loses or len(lacking) <= len(having) else f"only {', '.join(having)}"


def product(provider: str, service: Service) -> str | None:
    """Return what people call the service; None if it isn't in the overview. KeyError if PRODUCTS doesn't know it."""
    names = PRODUCTS[provider]
    return names.get(f"{service.name} {service.kind}", names[service.name])


def holds(feature: str, capability: Capability) -> bool:
    """Return whether the provider or the adapter does it. A batch that an adapter makes has one event."""
    return capability.level == "native" or (capability.level == "emulated" and feature != "batch")


def limits(provider: str) -> str:
    """Return the table of everything that can't hold on a provider, with the reasons."""
    (matrix,) = declared(provider, "--provider")
    lines = ["| missing | on | because |", "|---|---|---|"]
    for feature in FEATURES:
        asked = [service for service in matrix.services or () if feature in service.features]
        rows: dict[str, dict[str, None]] = {}
        for service in asked:
            capability = service.features[feature]
            if not holds(feature, capability):
                lost = "; **lost**" if capability.loses else ""
                reason = escaped(noted(capability) + "*" * capability.by_documentation) + lost
                rows.setdefault(reason, {})[f"`{service.name}`"] = None
        every = dict.fromkeys(f"`{service.name}`" for service in asked)
        for reason, names in rows.items():
            lines.append(_row(LABELS[feature], "every source" if names == every else ", ".join(names), reason))
    link = f"[Every service in full](providers-in-full.md#{TITLES[provider].lower().replace(' ', '-')})."
    return "\n".join(
        [*lines, "", f"{link} The names are those of `deliver(…, via=)` and `portable-fn check --via`.", ""]
    )


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def provider_pages() -> dict[Path, str]:
    """Return the overview's page and each provider's, with their generated parts as they are declared now."""
    pages = {OVERVIEW: embedded(OVERVIEW.read_text(), overview())}
    for provider in ADAPTERS:
        page = DOCS / f"{provider}.md"
        pages[page] = embedded(page.read_text(), limits(provider))
    return pages


def embedded(text: str, generated: str) -> str:
    """Return the text with the generated part between its markers.

    Raises:
        ValueError: The text hasn't exactly one pair of markers.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in after:
        raise ValueError(f"a provider's page has one {BEGIN} and then one {END}")
    return f"{before}{BEGIN}\n\n{generated}\n{END}{after}"


def check_names() -> None:
    """Raise ValueError if a harness names a story that doesn't exist."""
    known = {story.name for story in HTTP_STORIES}
    for harness in (*IN_PROCESS, *REAL):
        if unknown := set(harness.cannot) - known:
            raise ValueError(f"{harness.name} names stories that don't exist: {sorted(unknown)}")


if __name__ == "__main__":
    for path, text in {PAGE: page(), **provider_pages()}.items():
        path.write_text(text)
