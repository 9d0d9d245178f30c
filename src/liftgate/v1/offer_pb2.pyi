from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class Slot(_message.Message):
    __slots__ = ("offer_id", "payload_json", "propensity", "value", "selection_probability", "is_default")
    OFFER_ID_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_JSON_FIELD_NUMBER: _ClassVar[int]
    PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SELECTION_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    IS_DEFAULT_FIELD_NUMBER: _ClassVar[int]
    offer_id: str
    payload_json: str
    propensity: float
    value: float
    selection_probability: float
    is_default: bool
    def __init__(self, offer_id: _Optional[str] = ..., payload_json: _Optional[str] = ..., propensity: _Optional[float] = ..., value: _Optional[float] = ..., selection_probability: _Optional[float] = ..., is_default: _Optional[bool] = ...) -> None: ...
