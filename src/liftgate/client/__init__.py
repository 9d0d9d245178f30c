"""A client for Liftgate: a deadline on every call, safe retries, and a default offer when the service is away.

    async with AsyncClient("127.0.0.1:7420", default_offer="welcome") as client:
        decision = await client.decide("person-1", "home.hero", channel="web")

`Client` is the same without `await`. docs/decide.md has the whole story.
"""

from liftgate.client.aio import AsyncClient
from liftgate.client.answer import Candidate, Decision, Explanation, Offer, Recorded, Rejection, Revocation
from liftgate.client.failure import RequestRefused, ServiceUnavailable, Violation
from liftgate.client.request import Event, Request
from liftgate.client.retry import RetryPolicy
from liftgate.client.sync import Client

__all__ = [
    "AsyncClient",
    "Candidate",
    "Client",
    "Decision",
    "Event",
    "Explanation",
    "Offer",
    "Recorded",
    "Rejection",
    "Request",
    "RequestRefused",
    "RetryPolicy",
    "Revocation",
    "ServiceUnavailable",
    "Violation",
]
