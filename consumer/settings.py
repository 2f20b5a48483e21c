"""Settings: flags beat the environment, the environment beats a running local stack, that beats the defaults.

This is the only module that reads the environment.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from consumer.errors import ExitCode, WexError

if TYPE_CHECKING:
    from consumer.kafka_address import KafkaAddress

STACK_FILE = "stack.json"  # written by `wex up` into the data folder: the addresses of the running stack


class Settings(BaseSettings):
    """Where the servers are and what to read; each field is WEX_<FIELD> in the environment."""

    model_config = SettingsConfigDict(env_prefix="WEX_", extra="ignore", frozen=True)

    kafka_bootstrap_servers: str = Field("localhost:9092", description="host:port of Kafka brokers, comma-separated")
    database_url: SecretStr = Field(
        SecretStr("postgresql://localhost:5432/workflow_executions"), description="PostgreSQL connection URL"
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="how Kafka is spoken to: `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`"
    )
    kafka_ssl_cafile: Path | None = Field(
        None, description="certificates of the authorities that Kafka's is signed by, in PEM; else those of the machine"
    )
    kafka_ssl_certfile: Path | None = Field(
        None, description="this client's certificate, in PEM, if Kafka asks for one"
    )
    kafka_ssl_keyfile: Path | None = Field(None, description="its key, if it is not in the same file")
    kafka_ssl_key_password: SecretStr | None = Field(None, description="password of that key")
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="how the password is proven: `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`"
    )
    kafka_sasl_username: str | None = Field(None, description="user name of the `SASL_` protocols")
    kafka_sasl_password: SecretStr | None = Field(None, description="password of that user")
    database_password: SecretStr | None = Field(None, description="password of the database's user, if not in the URL")
    insecure: bool = Field(False, description="whether plaintext may leave this machine, to Kafka and to PostgreSQL")
    topics: Annotated[tuple[str, ...], NoDecode] = Field(
        ("workflow-executions",), description="topics to consume, comma-separated"
    )
    consumer_group: str = Field("workflow-executions", min_length=1, description="Kafka consumer group")
    kafka_session_timeout_ms: int = Field(
        15_000, ge=1_000, description="milliseconds after which the group gives a silent consumer's partitions away"
    )
    http_host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="address at which the consumer serves health and metrics; `0.0.0.0` is all",
    )
    http_port: Annotated[int, Field(ge=0, le=65_535)] | Literal["off"] = Field(
        9464, description="port of that; `0` takes any free one, `off` serves nothing"
    )
    dead_letters_in_a_row_max: int = Field(
        1_000,
        ge=0,
        description="dead letters in a row, in one partition, above which the consumer ends; `0` is no bound",
    )
    dead_letters_percent_max: int = Field(
        20, ge=0, le=100, description="percent of the last 10,000 records above which it ends; `100` is no bound"
    )
    drain_timeout_seconds: float = Field(
        20,
        gt=0,
        description="seconds that a signal leaves to apply what was accepted and leave the group; then it ends anyway",
    )
    data_dir: Path = Field(Path(".wex"), description="folder of the local stack's data")
    temporal_address: str = Field("localhost:7233", description="host:port of the Temporal frontend")
    temporal_namespace: str = Field("default", description="Temporal namespace to read")

    @field_validator("topics", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            value = tuple(topic.strip() for topic in value.split(",") if topic.strip())
        if not value:
            msg = "name at least one topic"
            raise ValueError(msg)
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: flags, files with secrets, which no empty variable hides, environment, local stack."""
        del dotenv_settings, file_secret_settings
        return init_settings, _FileSource(settings_cls), env_settings, _StackSource(settings_cls)

    @property
    def kafka(self) -> KafkaAddress:
        """Where Kafka is, and how it is spoken to.

        Raises:
            WexError: the settings do not fit each other, or plaintext would leave this machine.
        """
        from consumer.kafka_address import KafkaAddress
        from events.publisher.security import KafkaSecurity, PlaintextError

        security = KafkaSecurity(
            protocol=self.kafka_security_protocol,
            ca_file=self.kafka_ssl_cafile,
            cert_file=self.kafka_ssl_certfile,
            key_file=self.kafka_ssl_keyfile,
            key_password=_revealed(self.kafka_ssl_key_password),
            sasl_mechanism=self.kafka_sasl_mechanism,
            sasl_username=self.kafka_sasl_username,
            sasl_password=_revealed(self.kafka_sasl_password),
            insecure=self.insecure,
        )
        try:
            found = KafkaAddress(self.kafka_bootstrap_servers, security)
            found.arguments  # noqa: B018 - refuses what must not be
        except PlaintextError as error:
            remedy = "Set WEX_KAFKA_SECURITY_PROTOCOL (docs/security.md); or say --insecure, or WEX_INSECURE=true."
            raise WexError(str(error), remedy, ExitCode.USAGE) from None
        except ValueError as error:
            remedy = "Mend WEX_KAFKA_SECURITY_PROTOCOL, WEX_KAFKA_SSL_… or WEX_KAFKA_SASL_… (docs/settings.md)."
            raise WexError(f"the settings are not usable: {error}", remedy, ExitCode.USAGE) from None
        return found

    @property
    def database(self) -> str:
        """The URL of the database, with its password, for the store alone: never to be shown.

        Raises:
            WexError: plaintext would leave this machine, or nobody says who the user is.
        """
        from store.connect import NamelessError, PlaintextError, with_password, with_plaintext, with_tls, with_user

        try:
            url = with_password(with_user(self.database_url.get_secret_value()), _revealed(self.database_password))
            return with_plaintext(url) if self.insecure else with_tls(url)
        except PlaintextError as error:
            remedy = (
                "Leave sslmode out, and TLS is verified; or say --insecure, or WEX_INSECURE=true (docs/security.md)."
            )
            raise WexError(str(error), remedy, ExitCode.USAGE) from None
        except NamelessError as error:
            remedy = "Put the user into WEX_DATABASE_URL: postgresql://USER@…"
            raise WexError(str(error), remedy, ExitCode.USAGE) from None


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


class _FileSource(PydanticBaseSettingsSource):
    """Secrets from files, as container platforms mount them: WEX_<FIELD>_FILE names the file of a secret field."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ANN401 - pydantic's signature
        del field
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        named = {name: os.environ.get(f"WEX_{name.upper()}_FILE") for name in secrets()}
        return {name: _read(name, path) for name, path in named.items() if path}


def secrets() -> list[str]:
    """Return the fields that hold secrets."""
    return [name for name, field in Settings.model_fields.items() if field.annotation in (SecretStr, SecretStr | None)]


def _read(name: str, path: str) -> str:
    variable = f"WEX_{name.upper()}"
    if any(name.upper() == variable and value for name, value in os.environ.items()):  # pydantic takes any case
        message = f"the settings are not usable: both {variable} and {variable}_FILE are set"
        raise WexError(message, "Leave one of them out.", ExitCode.USAGE)
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        message = f"the settings are not usable: {variable}_FILE: {path} cannot be read: {why}"
        raise WexError(message, "Mend the variable, or mount the file.", ExitCode.USAGE) from None


class _StackSource(PydanticBaseSettingsSource):
    """The addresses that `wex up` wrote down, so that the next command needs no settings at all."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ANN401 - pydantic's signature
        del field
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        data_dir = Path(self.current_state.get("data_dir") or Settings.model_fields["data_dir"].default)
        try:
            stack = json.loads((data_dir / STACK_FILE).read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        settings = stack.get("settings") if isinstance(stack, dict) else None
        if not isinstance(settings, dict):
            return {}
        return {key: value for key, value in settings.items() if key in Settings.model_fields}


def load(**flags: object) -> Settings:
    """Return the settings; a flag that is None was not given and leaves the word to the environment.

    Raises:
        WexError: a setting is not usable; the message names the variable, never its value.
    """
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})  # type: ignore[arg-type] # checked by pydantic
    except ValidationError as error:
        lines = [f"WEX_{'_'.join(str(part) for part in e['loc']).upper()}: {e['msg']}" for e in error.errors()]
        message = "the settings are not usable: " + "; ".join(lines)
        raise WexError(message, "Mend the variable or the flag of the same name.", ExitCode.USAGE) from None


def environment() -> dict[str, str]:
    """Return this process's environment, to be handed on to a child."""
    return dict(os.environ)
