"""One sandbox, assembled: every provider and the people who live in it.

What lives here: construction. What does not: any provider's rules, HTTP serving (``app``).
"""

from __future__ import annotations

from starlette.routing import Mount, Route

from leadpipe.sandbox.aws.mail_events import MailEvents
from leadpipe.sandbox.aws.mail_inbound import MailInbound
from leadpipe.sandbox.aws.ses import Ses
from leadpipe.sandbox.aws.signing import Signer
from leadpipe.sandbox.aws.sns import Sns
from leadpipe.sandbox.aws.topics import Topics
from leadpipe.sandbox.config import SandboxConfig
from leadpipe.sandbox.controls import control_routes
from leadpipe.sandbox.fub.api import FubApi
from leadpipe.sandbox.fub.notices import Notices
from leadpipe.sandbox.fub.store import FubStore
from leadpipe.sandbox.market import MarketApi
from leadpipe.sandbox.openai_api import OpenAiApi
from leadpipe.sandbox.outcomes import Outcomes
from leadpipe.sandbox.population.agents import Agents
from leadpipe.sandbox.population.arrivals import Arrivals
from leadpipe.sandbox.population.crowd import Crowd
from leadpipe.sandbox.state import Sandbox
from leadpipe.sandbox.truth import truth_routes
from leadpipe.sandbox.twilio.account import Account
from leadpipe.sandbox.twilio.content import Templates
from leadpipe.sandbox.twilio.inbound import Inbound
from leadpipe.sandbox.twilio.judging import Judge
from leadpipe.sandbox.twilio.messages import Messages
from leadpipe.sandbox.zillow_files import ZillowFiles


class World:
    """One sandbox."""

    def __init__(self, config: SandboxConfig) -> None:
        self.sandbox = Sandbox(config)
        self.outcomes = Outcomes()
        self.store = FubStore(self.sandbox.now)
        self.webhooks = Notices(self.sandbox, self.store)
        self.fub = FubApi(self.sandbox, self.store, self.webhooks)
        self.templates = Templates(self.sandbox)
        self.judge = Judge(self.sandbox, self.templates, self.outcomes)
        self.twilio = Messages(self.sandbox, self.templates, self.judge)
        self.templates.is_allowed = self.twilio.is_allowed
        self.texts = Inbound(self.sandbox, self.twilio.book, self.judge)
        self.signer = Signer(self.sandbox.now, lambda: config.base_url)
        self.topics = Topics(self.sandbox, self.signer)
        self.sns = Sns(self.sandbox, self.topics, self.signer)
        self.mail_events = MailEvents(self.sandbox, self.topics, self.outcomes)
        self.ses = Ses(self.sandbox, self.mail_events)
        self.openai = OpenAiApi(self.sandbox)
        self.market = MarketApi(self.sandbox)
        self.agents = Agents(self.sandbox, self.store)
        self.population = Crowd(
            self.sandbox, self.store, self.agents, judge=self.judge, texts=self.texts, mail=self.mail_events,
            letters=MailInbound(self.sandbox, self.topics), sns=self.sns,
        )  # fmt: skip
        self.arrivals = Arrivals(self.sandbox, self.store, self.agents, self.population)
        self.fub.records.created.append(self.agents.sees_record)

    def routes(self) -> list[Route | Mount]:
        """Every address of the sandbox, the busiest first."""
        account = Account(self.sandbox, self.twilio.is_allowed)
        return [
            *self.fub.routes(),
            *self.ses.routes(),
            Mount("/twilio", routes=[*self.twilio.routes(), *self.templates.routes(), *account.routes()]),
            *self.openai.routes(),
            *self.sns.routes(),
            *self.market.routes(),
            *ZillowFiles(self.sandbox).routes(),
            *truth_routes(self),
            *control_routes(self),
        ]
