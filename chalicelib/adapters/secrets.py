"""Secrets in SSM Parameter Store, as SecureStrings below the stage's prefix."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from chalicelib.domain.errors import SlimreelError


class SecretMissing(SlimreelError):
    """A secret was not set for this stage."""


class Secrets:
    def __init__(self, client: Any, *, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    def get(self, name: str) -> str:
        """Raises: SecretMissing: with the parameter name to create."""
        parameter = f"{self._prefix.rstrip('/')}/{name}"
        try:
            answer = self._client.get_parameter(Name=parameter, WithDecryption=True)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ParameterNotFound":
                raise SecretMissing(
                    f"There is no SSM parameter {parameter}. Create it as a SecureString."
                ) from error
            raise
        return str(answer["Parameter"]["Value"])
