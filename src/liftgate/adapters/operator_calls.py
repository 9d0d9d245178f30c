"""Calls to ControlService and ReviewService from the command line: plain data in, plain data out."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.json_format import ParseDict
from google.protobuf.message_factory import GetMessageClass

from liftgate.adapters.admin_client import Privileged
from liftgate.client.plain import plain
from liftgate.v1 import control_service_pb2, decision_service_pb2, review_service_pb2

CONTROLS: ServiceDescriptor = control_service_pb2.DESCRIPTOR.services_by_name["ControlService"]
DECISIONS: ServiceDescriptor = decision_service_pb2.DESCRIPTOR.services_by_name["DecisionService"]
REVIEWS: ServiceDescriptor = review_service_pb2.DESCRIPTOR.services_by_name["ReviewService"]


class OperatorCalls(Privileged):
    """The services of whoever stops, starts and reviews. Use it as a context."""

    def ask(self, service: ServiceDescriptor, method: str, request: dict[str, Any]) -> dict[str, Any]:
        """Call one method with its request's fields and return the answer as `client.plain` has it. Raises CallFailed."""
        described = service.methods_by_name[method]
        message = ParseDict(request, GetMessageClass(described.input_type)())
        return plain(self.call(f"/{service.full_name}/{method}", message, GetMessageClass(described.output_type).FromString))
