"""The examples of docs/operations.md for a proxy and the rights of docs/follow-up-boss.md are what they claim."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PATHS = (
    "/fub/abc", "/twilio/status", "/twilio/inbound", "/ses/events", "/ses/inbound", "/u/abc", "/healthz",
)  # fmt: skip


def block(page: str, language: str) -> str:
    """The page's one block of that language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    return found


def passed_by_nginx(path: str) -> bool:
    (pattern,) = re.findall(r"location ~ (\S+) \{", block("operations.md", "nginx"))
    return re.search(pattern, path) is not None


def passed_by_caddy(path: str) -> bool:
    (patterns,) = re.findall(r"@public path (.*)", block("operations.md", "caddyfile"))
    return any(re.fullmatch(pattern.replace("*", ".*"), path) for pattern in patterns.split())


@pytest.mark.parametrize("passes", [passed_by_nginx, passed_by_caddy], ids=["nginx", "caddy"])
def test_the_example_of_a_proxy_passes_the_public_paths_and_nothing_else(passes: object) -> None:
    assert callable(passes)
    assert [path for path in PATHS if not passes(path)] == []
    assert [path for path in ("/", "/metrics", "/docs", "/openapi.json", "/graphql", "/fub") if passes(path)] == []


def test_the_public_paths_are_those_that_the_page_of_the_gateway_lists() -> None:
    page = (DOCS / "follow-up-boss.md").read_text()
    table = page[page.index("| Path |") : page.index("**Limits.**")]
    listed = {path.replace("TOKEN", "abc") for path in re.findall(r"(/[a-z]+(?:/[A-Za-z]+)?)`", table)}
    assert listed == set(PATHS)


def test_the_policy_for_aws_is_json_that_allows_no_service_whole() -> None:
    statements = json.loads(block("follow-up-boss.md", "json"))["Statement"]
    actions = [
        action
        for each in statements
        for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
    ]
    assert not [action for action in actions if "*" in action]
    assert {"ses:SendEmail", "sns:Publish", "s3:GetObject", "secretsmanager:GetSecretValue"} <= set(actions)
    assert len({each["Sid"] for each in statements}) == len(statements)
