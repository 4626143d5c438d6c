"""A file of this machine that is submitted by way of S3."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from slimreel.cli.api import CannotAsk
from slimreel.cli.submit import _address
from slimreel.cli.upload import upload


@pytest.fixture
def s3() -> Iterator[Any]:
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
    with mock_aws():
        client = boto3.client("s3", region_name="eu-west-1", **keys)
        place = {"LocationConstraint": "eu-west-1"}
        client.create_bucket(Bucket="films", CreateBucketConfiguration=place)
        yield client


def film(folder: Path, content: bytes, name: str = "Take 3.mov") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_a_film_is_uploaded_once_and_nothing_is_written_over(s3: Any, tmp_path: Path) -> None:
    first = upload(s3, film(tmp_path, b"one"), "s3://films/raw/")
    assert first.startswith("s3://films/raw/") and first.endswith("/Take 3.mov")
    key = first.removeprefix("s3://films/")
    sent_at = s3.head_object(Bucket="films", Key=key)["LastModified"]
    assert upload(s3, film(tmp_path, b"one"), "s3://films/raw") == first
    assert s3.head_object(Bucket="films", Key=key)["LastModified"] == sent_at
    assert upload(s3, film(tmp_path, b"another"), "s3://films/raw") != first
    assert s3.get_object(Bucket="films", Key=key)["Body"].read() == b"one"


@pytest.mark.parametrize(
    ("folder", "says"),
    [
        ("films/raw", "s3://bucket"),
        ("s3://f", "name of an S3 bucket"),
        ("s3://other", "not upload"),
    ],
)
def test_what_cannot_be_uploaded_says_why(s3: Any, tmp_path: Path, folder: str, says: str) -> None:
    with pytest.raises(CannotAsk, match=says):
        upload(s3, film(tmp_path, b"one"), folder)


def test_a_file_here_needs_a_way_to_travel(s3: Any, tmp_path: Path) -> None:
    class Here:
        def client(self, service: str) -> Any:
            return {"s3": s3}[service]

    path = str(film(tmp_path, b"one"))
    with pytest.raises(CannotAsk, match="--via s3://BUCKET/FOLDER"):
        _address(Here(), path, None)  # type: ignore[arg-type]
    with pytest.raises(CannotAsk, match="no file on this machine"):
        _address(Here(), path + "x", "s3://films")  # type: ignore[arg-type]
    assert _address(Here(), path, "s3://films").startswith("s3://films/")  # type: ignore[arg-type]
