"""A stand-in for AWS Lambda: its API, and the processes that run the app's real handlers."""

from slimreel.local.awslambda.service import AwsLambda

__all__ = ["AwsLambda"]
