"""The stories that can't hold on our own adapters, for `portable_fn.testing.stories.false_claims`.

Also the adapters' own tests that stand for a story.
"""

from __future__ import annotations

# The harness's name for a runtime, and the provider's service that it runs; None if the name has the service.
_RUNTIMES = {
    "awslambdaric": ("aws", None),
    "portable_fn_aws.runtime": ("aws", None),
    "azure worker": ("azure", "http"),
    "workerd": ("cloudflare", "fetch"),
    "functions-framework --asgi": ("gcp", "http_async"),
    "functions-framework": ("gcp", "http"),
    "uvicorn": ("asgi", "http"),
}


def http_cannot() -> dict[tuple[str, str], dict[str, str]]:
    """Return the HTTP stories that can't hold on any harness of a service, in process or on a real runtime."""
    from harnesses import IN_PROCESS
    from portable_fn.providers import adapter
    from tests.runtimes.harnesses import REAL

    reasons: dict[tuple[str, str], dict[str, str]] = {}
    for harness in IN_PROCESS:
        provider, _, service = harness.name.partition(" ")
        reasons[provider, service or adapter(provider, "simulate").SERVICES[0]] = dict(harness.cannot)
    for harness in REAL:
        provider, service = next(cell for name, cell in _RUNTIMES.items() if harness.name.startswith(name))
        cell = reasons[provider, service or harness.name.split(", ")[1]]
        for story in set(cell) - set(harness.cannot):
            del cell[story]
    return reasons


_GATEWAY = ("aws/test_adapter.py", "test_the_principal_is_the_caller_that_the_gateway_verified")
# By provider, service, kind and feature: the file and name of the test that shows what no story shows.
TESTS: dict[tuple[str, str, str, str], tuple[str, str]] = {
    (provider, service, "Request", "typed principal"): test
    for provider, service, test in (
        ("aws", "http_api", _GATEWAY),
        ("aws", "function_url", _GATEWAY),
        ("aws", "rest_api", _GATEWAY),
        ("aws", "lattice_v2", ("aws/test_adapter.py", "test_the_principal_of_vpc_lattice_is_the_iam_caller")),
        ("azure", "http", ("azure/test_http_requests.py", "test_the_principal_is_easy_auths_if_it_is_on")),
        ("cloudflare", "fetch", ("cloudflare/test_adapter.py", "test_a_verified_client_certificate_is_the_principal")),
    )
} | {
    # The context is the same for every service.
    ("aws", service, "Request", "deadline"): ("aws/test_adapter.py", "test_the_context_is_lambdas")
    for service in ("http_api", "function_url", "rest_api", "alb", "alb_multi_value", "lattice_v1", "lattice_v2")
}
