"""A sandbox over HTTP, the runtime that reads it, and what the tests ask of both."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from leadpipe.clock import set_offset
from leadpipe.crm.sync import Sync
from leadpipe.runtime import Runtime
from leadpipe.sandbox.app import World
from leadpipe.sandbox.app import create_app as create_sandbox
from leadpipe.sandbox.config import SandboxConfig
from leadpipe.settings import Sending, Settings
from leadpipe.store.bootstrap import create_tables
from tests.gateway.serving import free_socket, served, url_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.store.lake import Lake


@pytest.fixture
def world(settings: Settings) -> Generator[World]:
    """A sandbox that serves; its records can be changed directly."""
    bound = free_socket()
    app = create_sandbox(SandboxConfig(base_url=url_of(bound)))
    with served(app, bound):
        yield app.state.world


@pytest.fixture
def sandbox_settings(settings: Settings, world: World) -> Settings:
    """Settings that reach the sandbox and nothing else."""
    config = world.sandbox.config
    return settings.model_copy(
        update={
            "sending": Sending.SANDBOX,
            "fub_base_url": f"{config.base_url}/fub/v1",
            "fub_api_key": SecretStr(config.fub_api_key),
            "fub_system_key": SecretStr(config.fub_system_key),
            "fub_webhook_token": SecretStr("test-token"),
            "twilio_base_url": f"{config.base_url}/twilio",
            "twilio_account_sid": config.twilio_account_sid,
            "twilio_auth_token": SecretStr(config.twilio_auth_token),
            "twilio_messaging_service_sid": config.twilio_messaging_service_sid,
            "sms_number": config.sms_number,
            "whatsapp_number": config.whatsapp_number,
            "ses_endpoint_url": f"{config.base_url}/ses",
            "sns_endpoint_url": f"{config.base_url}/sns/",
            "aws_access_key_id": "sandbox",
            "aws_secret_access_key": SecretStr("sandbox"),
        }
    )


@pytest.fixture
def runtime(sandbox_settings: Settings, lake: Lake, ledger_engine: Engine, world: World) -> Generator[Runtime]:
    """The running system's parts over the sandbox, at the sandbox's time, its lake made."""
    create_tables(lake)
    set_offset(ledger_engine, timedelta(seconds=world.sandbox.offset_seconds))
    made = Runtime(sandbox_settings)
    yield made
    made.close()


@dataclass
class Asking:
    """Short questions to ledger and lake."""

    runtime: Runtime

    def ledger(self, query: str, **values: Any) -> list[Any]:
        with self.runtime.engine.connect() as connection:
            return list(connection.execute(text(query), values))

    def one(self, query: str, **values: Any) -> Any:
        return self.ledger(query, **values)[0][0]

    def lake(self, query: str) -> list[Any]:
        with self.runtime.lake.connect() as connection:
            return connection.execute(query).fetchall()


@pytest.fixture
def ask(runtime: Runtime) -> Asking:
    return Asking(runtime)


@pytest.fixture
def sync(runtime: Runtime) -> Sync:
    return Sync(crm=runtime.crm, lake=runtime.lake, engine=runtime.engine, settings=runtime.settings)
