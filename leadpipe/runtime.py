"""The running system's parts, built from the settings: ledger, lake, clock, clients.

What lives here: construction and nothing else. What does not: any rule. Commands, the gateway, Dagster's resource and
the tests all build the same thing here.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from leadpipe.clock import LedgerClock
from leadpipe.errors import ConfigurationError
from leadpipe.messaging import failpoints
from leadpipe.store import extensions, ledger
from leadpipe.store.lake import Lake
from leadpipe.store.server import EmbeddedServer, database_url_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpipe.clock import Clock
    from leadpipe.crm.client import FubClient
    from leadpipe.crm.keeping import Keeper
    from leadpipe.market.facts import MarketFacts
    from leadpipe.market.recommend import Recommender
    from leadpipe.messaging.breaker import Breakers
    from leadpipe.messaging.channels.base import Channel
    from leadpipe.settings import Settings


@dataclass
class Runtime:
    """Everything a process of leadpipe needs, each part built when first used."""

    settings: Settings

    def __post_init__(self) -> None:
        if self.settings.failpoints is not None:
            failpoints.arm(self.settings.failpoints)

    @cached_property
    def database_url(self) -> str:
        """The PostgreSQL of this system; the embedded server of a home that was set up is started if it is down.

        Raises:
            ConfigurationError: nothing was ever set up here, or the address is not PostgreSQL's.
        """
        return database_url_of(self.settings)

    @cached_property
    def engine(self) -> Engine:
        """The ledger."""
        return ledger.connect(self.database_url)

    @cached_property
    def lake(self) -> Lake:
        """The lake."""
        return Lake(database_url=self.database_url, data_path=self.settings.lake_url, home=self.settings.home)

    @cached_property
    def clock(self) -> Clock:
        """Wall clock plus the ledger's offset."""
        return LedgerClock(self.engine)

    @cached_property
    def crm(self) -> FubClient:
        """Follow Up Boss, within the rate budget that the ledger keeps for all processes."""
        from leadpipe.crm.client import FubClient

        try:
            engine = self.engine
        except ConfigurationError:  # `leadpipe doctor` before anything was set up: there is nobody to share with
            engine = None
        return FubClient.from_settings(self.settings, engine=engine)

    @property
    def keeper(self) -> Keeper:
        """What stores the CRM's records in lake and ledger."""
        from leadpipe.crm.keeping import Keeper

        return Keeper(crm=self.crm, lake=self.lake, engine=self.engine, settings=self.settings)

    @cached_property
    def channels(self) -> dict[str, Channel]:
        """The sending channels that are configured, by name."""
        from leadpipe.messaging.channels.build import build_channels

        return build_channels(self.settings)

    @cached_property
    def breakers(self) -> Breakers:
        """What this process knows of the providers' health."""
        from leadpipe.messaging.breaker import Breakers

        return Breakers()

    @cached_property
    def recommender(self) -> Recommender:
        """Homes for a first message; without a Bridge token it has none."""
        from leadpipe.market.bridge import BridgeClient
        from leadpipe.market.recommend import Recommender

        return Recommender(BridgeClient.from_settings(self.settings))

    @cached_property
    def market_facts(self) -> MarketFacts:
        """The market trend by ZIP, kept for ten minutes."""
        from leadpipe.market.facts import MarketFacts

        return MarketFacts(self.lake)

    @property
    def worker(self) -> str:
        """A name for leases: host and process."""
        return f"{socket.gethostname()}:{os.getpid()}"

    def set_up(self) -> None:
        """Bring folders, extensions, ledger and lake up to date; running it again changes nothing.

        A ledger from which nobody ever sent gives this installation the right to send; a copied one does not.
        """
        from leadpipe.messaging.take_over import take_first
        from leadpipe.store.bootstrap import create_tables

        self.settings.home.mkdir(parents=True, exist_ok=True)
        if not self.settings.database_url:
            EmbeddedServer(self.settings.home).ensure_running()
        extensions.install(self.settings.home)
        ledger.upgrade(self.database_url)
        self.lake.set_up()
        create_tables(self.lake)
        take_first(self.engine, self.settings, now=self.clock.now())

    def close(self) -> None:
        """Release what was opened."""
        if "engine" in self.__dict__:
            self.engine.dispose()
        if "crm" in self.__dict__:
            self.crm.close()


def open_runtime(*, env_file: Path | None = Path(".env")) -> Runtime:
    """A runtime of the settings in the environment."""
    from leadpipe.setting_loading import load_settings

    return Runtime(load_settings(env_file=env_file))
