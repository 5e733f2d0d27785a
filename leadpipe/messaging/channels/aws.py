"""boto3 clients for sending, and the reading of what a boto call certainly did.

What lives here: the configuration that makes one call one request, and the exception table of messaging sheet 7.
What does not: the requests themselves (``email_ses``, ``sms_sns``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from leadpipe.messaging.channels.base import SendResult
from leadpipe.messaging.channels.codes import aws_refusal
from leadpipe.messaging.under_way import CONNECT_WITHIN_SECONDS

if TYPE_CHECKING:
    from leadpipe.settings import Settings

READ_TIMEOUT_SECONDS = 15


def sending_client(service: str, settings: Settings, *, endpoint_url: str, connections: int) -> Any:
    """A boto3 client that makes exactly one request a call.

    Its default makes three attempts on a 500 or a read timeout: a duplicate each (sheet 4.1).
    """
    import boto3
    from botocore.config import Config

    secret = settings.aws_secret_access_key.get_secret_value()
    # A session of its own: boto3's default session is not safe to build clients from several threads.
    session = boto3.session.Session(
        region_name=settings.aws_region,
        aws_access_key_id=settings.aws_access_key_id or None,
        aws_secret_access_key=secret or None,
    )
    return session.client(
        cast("Any", service),
        endpoint_url=endpoint_url or None,
        config=Config(
            connect_timeout=CONNECT_WITHIN_SECONDS,
            read_timeout=READ_TIMEOUT_SECONDS,
            retries={"total_max_attempts": 1, "mode": "standard"},
            max_pool_connections=connections,
        ),
    )


def call_outcome(call: Callable[[], Mapping[str, Any]]) -> SendResult:  # noqa: PLR0911 - a table of exceptions
    """Make the call and say what certainly happened; any class of failure not named here is unknown."""
    from botocore import exceptions as boto

    try:
        answer = call()
    except (boto.EndpointConnectionError, boto.ConnectTimeoutError) as error:
        return SendResult.not_sent(type(error).__name__)
    except boto.ParamValidationError as error:
        return SendResult.refused(type(error).__name__)
    except (boto.NoCredentialsError, boto.PartialCredentialsError, boto.NoRegionError) as error:
        return SendResult.misconfigured(type(error).__name__)
    except boto.ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = error.response.get("Error", {}).get("Code", "")
        return aws_refusal(status, code or str(status))
    except Exception as error:  # noqa: BLE001 - once the call began, what is not known to have failed is unknown
        return SendResult.unknown(type(error).__name__)
    provider_id = answer.get("MessageId")
    if not isinstance(provider_id, str) or not provider_id:
        return SendResult.unknown("no_message_id")
    return SendResult.accepted(provider_id)
