"""Settings kept in AWS Secrets Manager.

What lives here: reading one secret. What does not: what the settings mean (``settings``). The secret is a JSON object
of setting names; `LEADPIPE_FUB_API_KEY` and `fub_api_key` are the same name.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from leadpipe.errors import ConfigurationError, TransientError

if TYPE_CHECKING:
    from leadpipe.settings import Settings


def read_vault(settings: Settings) -> dict[str, Any]:
    """The settings in the secret that ``secrets_manager_name`` names, by field name.

    Raises:
        ConfigurationError: the secret is missing, closed to us, no JSON object, or names something that is no setting.
        TransientError: AWS does not answer.
    """
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    name = settings.secrets_manager_name
    where = f"LEADPIPE_SECRETS_MANAGER_NAME={name}"
    session = boto3.session.Session(
        region_name=settings.aws_region,
        aws_access_key_id=settings.aws_access_key_id or None,
        aws_secret_access_key=settings.aws_secret_access_key.get_secret_value() or None,
    )
    try:
        # Every command reads it, the kill switch too: botocore's own minutes of waiting would be too long.
        patience = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 2})
        client = session.client("secretsmanager", config=patience)
        text = client.get_secret_value(SecretId=name).get("SecretString", "")
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "unknown")
        raise ConfigurationError(
            f"{where}: AWS answers {code}; create the secret in {settings.aws_region}, or allow "
            "secretsmanager:GetSecretValue on it"
        ) from error
    except BotoCoreError as error:
        raise TransientError(f"{where}: AWS does not answer ({type(error).__name__})") from error
    try:
        found = json.loads(text)
    except ValueError:
        found = None  # the decoder's error would quote the secret
    if not isinstance(found, dict):
        raise ConfigurationError(f"{where}: the secret is no JSON object of settings")
    values = {str(key).lower().removeprefix("leadpipe_"): value for key, value in found.items()}
    unknown = sorted(set(values) - set(type(settings).model_fields))
    if unknown:
        raise ConfigurationError(f"{where}: no settings are called {', '.join(unknown)}; see docs/configuration.md")
    return values
