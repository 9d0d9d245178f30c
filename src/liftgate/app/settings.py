"""Settings: read once at start from flags and LIFTGATE_ variables, frozen, printable with secrets hidden.

Each field is one flag (`--max-batch`) and one environment variable (`LIFTGATE_MAX_BATCH`); a flag wins. docs/configuration.md
is generated from here by `make docs`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "LIFTGATE_"
_SCHEMES = frozenset({"redis", "rediss", "redis+cluster", "rediss+cluster", "unix"})


class BadSettings(Exception):
    """One or more settings are wrong; the message names each one's flag and environment variable and what is wanted."""


def _setting(section: str, description: str, default: Any = ..., **limits: Any) -> Any:
    return Field(default, description=description, json_schema_extra={"section": section}, **limits)


class Settings(BaseSettings):
    """Everything that `liftgate serve` can be told."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True, env_ignore_empty=True)

    bundle: Path = _setting("What is decided", "Directory of the bundle's YAML files.")
    models: Path | None = _setting(
        "What is decided",
        "Directory of models, `<name>/<version>/{model.onnx,model.yaml}`. Absent: `models` in the bundle's folder, or beside it.",
        None,
    )

    redis: SecretStr = _setting(
        "People",
        "Where people are stored: a `redis://`, `rediss://` or `unix://` URL, `redis+cluster://` for a Cluster, or `embedded` for a "
        "Valkey of our own that lives and dies with the server.",
        SecretStr("redis://127.0.0.1:6379/0"),
    )
    profile_layout: Literal["packed", "hash"] = _setting(
        "People",
        "How profiles lie in Redis: `packed` (one value a person, fast) or `hash` (plain HASH, for pipelines that write hashes).",
        "packed",
    )
    feast: Path | None = _setting(
        "People",
        "File that says where features lie in a Feast online store on Redis (docs/profiles.md); they are then read there and nowhere else. "
        "Absent: `profile_layout` holds.",
        None,
    )
    feast_redis: SecretStr | None = _setting("People", "Where that online store is, a URL as for `redis`. Absent: the same server.", None)
    fetch_budget_ms: float = _setting(
        "People", "Longest wait for a batch's profiles, in ms; then the fallback answers.", 8.0, gt=0, le=10_000
    )
    reserve_budget_ms: float = _setting("People", "Longest wait for frequency caps and request ids, in ms.", 8.0, gt=0, le=10_000)
    idempotency_horizon_s: float = _setting(
        "People", "How long a request_id is remembered, in s: a retry within it gets the same answer byte for byte.", 60.0, ge=1, le=86_400
    )

    log: Path = _setting("Decision log", "Directory of the decision and event logs; made when absent.", Path(".liftgate/log"))
    durability: Literal["write", "fsync", "async"] = _setting(
        "Decision log",
        "What holds when a decision is answered: `write` survives a crash of the process, `fsync` also loss of power, `async` neither.",
        "write",
    )
    on_log_failure: Literal["refuse", "serve_default"] = _setting(
        "Decision log",
        "When the log cannot be written: `refuse` answers UNAVAILABLE, `serve_default` answers the default and counts it.",
        "refuse",
    )
    pseudonym_key: SecretStr | None = _setting(
        "Decision log",
        "Key of the pseudonyms in the log, at least 16 bytes. Better given as a file or by the environment than as a flag.",
        None,
    )
    pseudonym_key_file: Path | None = _setting(
        "Decision log", "File that holds the key instead. With neither, a key is made in `keys/` beside the log directory, mode 0600.", None
    )

    pseudonyms: Literal["personal", "keyed"] = _setting(
        "Decision log",
        "What stands for people in the log: `personal` takes a key of each person's own from the store, so that erasing them unlinks "
        "their rows; `keyed` is the hash of the id under the log's key alone, which whoever has the key can make again.",
        "personal",
    )

    unit_pseudonyms: Literal["personal", "shared"] = _setting(
        "Decision log",
        "What stands for accounts, sessions and visitors in the log: `personal` takes the key of the person whose they are, so that "
        "erasing them unlinks these too, and people of one account are joined with a table (`liftgate log units`); `shared` is the same "
        "with everybody, by the log's key alone, and erasing nobody unlinks it. With `--pseudonyms keyed` it is `shared` anyway.",
        "personal",
    )

    host: str = _setting("Serving", "Address to listen on.", "127.0.0.1", min_length=1)
    port: int = _setting("Serving", "Port to listen on; 0: any free one, printed at start.", 7420, ge=0, le=65_535)
    transport: Literal["auto", "native", "grpcio"] = _setting(
        "Serving", "`native` (fast, plaintext only), `grpcio`, or `auto`: native unless TLS is asked for.", "auto"
    )
    tls_cert: Path | None = _setting("Serving", "Server certificate chain, PEM.", None)
    tls_key: Path | None = _setting("Serving", "Its private key, PEM.", None)
    workers: int = _setting("Serving", "Processes that share the port, one a core.", 1, ge=1, le=256)
    share_port: bool = _setting(
        "Serving",
        "Let another server listen on the same port, as a rolling restart on one machine needs it. Off: a taken port is an error.",
        False,
    )
    reflection: bool = _setting("Serving", "Answer gRPC reflection.", False)
    explain_by_id: bool = _setting(
        "Serving",
        "Answer `Explain` of earlier decisions to anyone who can call, values of profile features included. With operators it needs no "
        "setting and an operator's token.",
        False,
    )
    default_deadline_ms: float = _setting("Serving", "Deadline of requests that carry none, in ms.", 1_000.0, gt=0, le=600_000)
    hurry_ms: float = _setting(
        "Serving",
        "A call with less time left than this is in a hurry: its waits for Redis get a third of what is left, and it shares no batch with "
        "calls that have time.",
        30.0,
        ge=0,
        le=600_000,
    )
    max_batch: int = _setting("Serving", "Most requests walked as one batch; of `DecideBatch` alone twice as many.", 128, ge=1, le=1_000)
    max_queue: int = _setting(
        "Serving", "Most requests waiting in a worker; beyond it they are answered RESOURCE_EXHAUSTED.", 1_024, ge=1, le=1_000_000
    )
    batches_in_flight: int = _setting(
        "Serving", "Most batches a worker walks at once; a further one only for 32 requests or a full one.", 2, ge=1, le=64
    )
    max_request_kib: int = _setting("Serving", "Largest request taken, in KiB.", 4_096, ge=1, le=65_536)
    lame_duck_s: float = _setting(
        "Serving",
        "After SIGTERM: how long to go on serving while health says NOT_SERVING, in s, so that load balancers look away.",
        1.0,
        ge=0,
        le=300,
    )
    drain_grace_s: float = _setting("Serving", "Then: how long calls in flight may take to finish, in s.", 10.0, ge=0, le=300)

    watch: bool = _setting(
        "Administration",
        "Reload when the bundle's files, its models or the operators file have changed and come to rest; looked at twice a second.",
        False,
    )
    controls_max_age_s: float = _setting(
        "Administration",
        "How long a worker whose link to Redis is lost goes on by the stops and approvals that it knew, in s; then nothing is shown.",
        60.0,
        ge=1,
        le=86_400,
    )
    operators: Path | None = _setting(
        "Administration",
        "File of the operators: names, roles, SHA-256 of their tokens. Absent: privileged calls answer FAILED_PRECONDITION.",
        None,
    )

    consent_role: str | None = _setting(
        "Administration",
        "Role that callers of ConsentService need, with a token of the operators file. Absent: whoever can call Decide can call it.",
        None,
        pattern="^[a-z][a-z0-9_-]{0,63}$",
    )

    metrics_host: str = _setting("Watching", "Address of /metrics.", "127.0.0.1", min_length=1)
    metrics_port: int = _setting("Watching", "Port of /metrics (Prometheus), one for all workers; 0: none.", 9464, ge=0, le=65_535)
    log_level: Literal["debug", "info", "warning", "error"] = _setting("Watching", "Least severe of the JSON log lines on stderr.", "info")
    otlp_endpoint: str | None = _setting(
        "Watching", "Where sampled traces go, OTLP over gRPC, for example `http://127.0.0.1:4317` (extra `otlp`). Absent: nowhere.", None
    )
    trace_sample_ratio: float = _setting(
        "Watching",
        "Share of requests without a `traceparent` that are traced, 0 to 1; a caller's `traceparent` decides for itself.",
        0.01,
        ge=0,
        le=1,
    )

    @field_validator("redis")
    @classmethod
    def _store(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if text != "embedded" and urlsplit(text).scheme not in _SCHEMES:
            raise ValueError("wants a redis://, rediss://, redis+cluster://, rediss+cluster:// or unix:// URL, or `embedded`")
        return value

    @field_validator("feast_redis")
    @classmethod
    def _online_store(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and urlsplit(value.get_secret_value()).scheme not in _SCHEMES:
            raise ValueError("wants a redis://, rediss://, redis+cluster://, rediss+cluster:// or unix:// URL")
        return value

    @field_validator("pseudonym_key")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().encode()) < 16:
            raise ValueError("wants at least 16 bytes")
        return value

    @model_validator(mode="after")
    def _together(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError(f"{mention('tls_cert')} and {mention('tls_key')} go together: give both or neither")
        if self.tls_cert is not None and self.transport == "native":
            raise ValueError(f"{mention('transport')}: native has no TLS; say grpcio or auto, or leave {flag('tls_cert')} away")
        if self.consent_role is not None and self.operators is None:
            raise ValueError(f"{mention('consent_role')} needs {mention('operators')}: without operators nobody has the role")
        if self.feast_redis is not None and self.feast is None:
            raise ValueError(f"{mention('feast_redis')} needs {mention('feast')}: the file that says what lies there")
        if self.feast is not None and self.profile_layout == "hash":
            raise ValueError(f"{mention('feast')} and {mention('profile_layout')}: features lie in one place; leave one of them away")
        if self.pseudonym_key is not None and self.pseudonym_key_file is not None:
            raise ValueError(f"{mention('pseudonym_key')} and {mention('pseudonym_key_file')}: give one of them")
        return self

    def shown(self) -> dict[str, str | int | float | bool | None]:
        """Return every setting as it may be printed: secrets and credentials in URLs hidden."""
        shown: dict[str, str | int | float | bool | None] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if name in {"redis", "feast_redis", "otlp_endpoint"} and value is not None:
                value = without_credentials(value.get_secret_value() if isinstance(value, SecretStr) else value)
            elif isinstance(value, SecretStr):
                value = "(hidden)"
            elif isinstance(value, Path):
                value = str(value)
            shown[name] = value
        return shown


def flag(name: str) -> str:
    """Return a setting's flag: `--max-batch`."""
    return "--" + name.replace("_", "-")


def variable(name: str) -> str:
    """Return a setting's environment variable: `LIFTGATE_MAX_BATCH`."""
    return PREFIX + name.upper()


def mention(name: str) -> str:
    """Return both, as messages name a setting."""
    return f"{flag(name)} ({variable(name)})"


def without_credentials(url: str) -> str:
    """Return a URL with user, password and query hidden; text that is no URL with a host comes back as it is."""
    parts = urlsplit(url)
    if "@" not in parts.netloc and not parts.query:
        return url
    host = parts.netloc.rpartition("@")[2]
    hidden = f"(hidden)@{host}" if "@" in parts.netloc else host
    return urlunsplit((parts.scheme, hidden, parts.path, "(hidden)" if parts.query else "", ""))


def read(flags: Mapping[str, Any] | None = None) -> Settings:
    """Read settings from flags (None: not given) over the environment over defaults. Raises BadSettings naming every mistake."""
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as err:
        lines = []
        for problem in err.errors(include_url=False, include_input=False):
            text = problem["msg"].removeprefix("Value error, ")
            if problem["type"] == "missing":
                text = "is needed"
            elif problem["type"] == "extra_forbidden":
                text = "is no setting"
            lines.append(f"{mention(str(problem['loc'][0]))} {text[:1].lower()}{text[1:]}" if problem["loc"] else text)
        raise BadSettings("\n".join(lines)) from None


def unknown_variables(environ: Mapping[str, str] | None = None) -> list[str]:
    """Return LIFTGATE_ variables that nobody reads, most likely spelling mistakes. LIFTGATE_TEST_ ones are the tests' own."""
    known = {variable(name) for name in Settings.model_fields} | {PREFIX + "TARGET", PREFIX + "TOKEN"}
    given = os.environ if environ is None else environ
    return sorted(name for name in given if name.startswith(PREFIX) and name not in known and not name.startswith(PREFIX + "TEST_"))
