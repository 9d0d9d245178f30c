"""Settings: flags over environment over defaults, mistakes named, secrets hidden."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from liftgate.app.configuration import markdown
from liftgate.app.settings import BadSettings, Settings, read, unknown_variables, variable, without_credentials


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)


def test_a_flag_wins_over_the_environment_and_the_environment_over_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest hand decides: flag, then variable, then default."""
    assert read({"bundle": "b"}).port == 7420
    monkeypatch.setenv("LIFTGATE_PORT", "1001")
    monkeypatch.setenv("LIFTGATE_BUNDLE", "from-env")
    assert read({"port": None}).port == 1001
    assert read({"port": "1002"}).port == 1002
    assert read().bundle == Path("from-env")


def test_settings_cannot_change_once_read() -> None:
    """Settings are frozen."""
    settings = read({"bundle": "b"})
    with pytest.raises(ValidationError):
        settings.port = 1


def test_every_mistake_is_named_by_flag_and_variable_and_no_value_is_repeated() -> None:
    """One message names all mistakes at once, and a mistyped secret is not printed."""
    with pytest.raises(BadSettings) as caught:
        read({"port": "99999", "redis": "http://user:hunter2@host", "pseudonym_key": "short", "nonsense": "1"})
    text = str(caught.value)
    for words in (
        "--bundle (LIFTGATE_BUNDLE) is needed",
        "--port (LIFTGATE_PORT)",
        "--redis (LIFTGATE_REDIS) wants",
        "--pseudonym-key (LIFTGATE_PSEUDONYM_KEY) wants at least 16 bytes",
        "--nonsense (LIFTGATE_NONSENSE) is no setting",
    ):
        assert words in text
    assert "hunter2" not in text
    assert "short" not in text


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"tls_cert": "c.pem"}, "go together"),
        ({"tls_cert": "c.pem", "tls_key": "k.pem", "transport": "native"}, "native has no TLS"),
        ({"pseudonym_key": "k" * 16, "pseudonym_key_file": "f"}, "give one of them"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(flags: dict[str, str], words: str) -> None:
    """A combination that cannot work is a mistake at start and not a surprise later."""
    with pytest.raises(BadSettings, match=words):
        read({"bundle": "b", **flags})


def test_what_is_shown_holds_no_secret() -> None:
    """Keys, passwords and query strings are hidden; host and port stay readable."""
    settings = read(
        {
            "bundle": "b",
            "redis": "redis://u:hunter2@host:1/0?password=hunter3",
            "pseudonym_key": "k" * 32,
            "otlp_endpoint": "http://t:tok@h:4317",
        }
    )
    shown = str(settings.shown()) + repr(settings) + str(settings)
    for secret in ("hunter2", "hunter3", "k" * 32):
        assert secret not in shown
    assert settings.shown()["redis"] == "redis://(hidden)@host:1/0?(hidden)"
    assert settings.shown()["otlp_endpoint"] == "http://(hidden)@h:4317"
    assert set(settings.shown()) == set(Settings.model_fields)


def test_a_plain_url_is_shown_as_it_is() -> None:
    """Nothing is hidden where nothing is secret."""
    assert without_credentials("redis://127.0.0.1:6379/0") == "redis://127.0.0.1:6379/0"
    assert without_credentials("embedded") == "embedded"


def test_a_variable_that_names_no_setting_is_noticed() -> None:
    """LIFTGATE_PROT is reported; LIFTGATE_PORT and the tests' own variables are not."""
    assert unknown_variables({"LIFTGATE_PROT": "1", "LIFTGATE_PORT": "2", "LIFTGATE_TEST_DATA": "x", "HOME": "/"}) == ["LIFTGATE_PROT"]


def test_every_setting_is_documented_with_its_flag_and_variable() -> None:
    """The generated page has a row for each setting."""
    page = markdown()
    for name in Settings.model_fields:
        assert f"`{variable(name)}`" in page
        assert f"`--{name.replace('_', '-')}`" in page
