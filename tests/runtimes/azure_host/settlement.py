"""Serve the settlement of Service Bus messages, if the worker's extension for it is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def serve(server: Any, log: Callable[[str], None]) -> None:
    """Add the service to the host's server. It logs each settlement as "[host] complete <lock>", and refuses a second one."""
    try:
        from azurefunctions.extensions.bindings.protos import settlement_pb2_grpc
        from google.protobuf.empty_pb2 import Empty
    except ImportError:
        return
    settled: set[str] = set()

    class Settlement(settlement_pb2_grpc.SettlementServicer):  # type: ignore[misc,name-defined]  # it is there in that environment
        def _settle(self, how: str, request: Any, context: Any) -> Any:
            if request.locktoken in settled:
                context.abort(5, "the lock supplied is invalid: the message is settled already")
            settled.add(request.locktoken)
            log(f"[host] {how} {request.locktoken}")
            return Empty()

        def Complete(self, request: Any, context: Any) -> Any:  # noqa: N802  # gRPC's name
            return self._settle("complete", request, context)

        def Abandon(self, request: Any, context: Any) -> Any:  # noqa: N802  # gRPC's name
            return self._settle("abandon", request, context)

        def Deadletter(self, request: Any, context: Any) -> Any:  # noqa: N802  # gRPC's name
            return self._settle(f"deadletter {request.deadletterReason.value!r}", request, context)

    settlement_pb2_grpc.add_SettlementServicer_to_server(Settlement(), server)
