"""Calls of ConsentService, for the command line: records in, records out, plain words for what goes wrong."""

from __future__ import annotations

from liftgate.adapters.admin_client import Privileged
from liftgate.adapters.grpc_consent import message_of, record_of
from liftgate.domain.consent_record import ConsentRecord
from liftgate.v1 import consent_service_pb2 as pb

HistoryResponse = pb.HistoryResponse
_SERVICE = "/liftgate.v1.ConsentService/"


class ConsentClient(Privileged):
    """`liftgate.v1.ConsentService`."""

    def set(self, person_id: str, record: ConsentRecord, replace_unreadable: bool = False) -> None:
        """Put one purpose's record on file. Raises CallFailed."""
        request = pb.SetRequest(person_id=person_id, consent=message_of(record), replace_unreadable=replace_unreadable)
        self.call(_SERVICE + "Set", request, pb.SetResponse.FromString)

    def get(self, person_id: str) -> dict[str, ConsentRecord | None]:
        """Return what is on record by purpose, None for a record that cannot be read. Raises CallFailed."""
        said = self.call(_SERVICE + "Get", pb.GetRequest(person_id=person_id), pb.GetResponse.FromString)
        return {one.purpose: record_of(one) for one in said.consents}

    def history(self, person_id: str) -> pb.HistoryResponse:
        """Return the changes of a person's consent. Raises CallFailed."""
        return self.call(_SERVICE + "History", pb.HistoryRequest(person_id=person_id), pb.HistoryResponse.FromString)

    def erase(self, person_id: str, account_id: str = "", reason: str = "") -> pb.EraseResponse:
        """Erase a person. Raises CallFailed."""
        request = pb.EraseRequest(person_id=person_id, account_id=account_id, reason=reason)
        return self.call(_SERVICE + "Erase", request, pb.EraseResponse.FromString)
