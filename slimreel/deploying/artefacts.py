"""The bucket that holds what CloudFormation and Lambda fetch: code, layer, template.

Keys are digests of the content, so what is there already is not sent again, and an older version
stays for as long as a rollback may need it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from slimreel.deploying import CannotDeploy
from slimreel.deploying.account import Account

Template = dict[str, Any]
Say = Callable[[str], None]

#: Members of SAM resources that may name a file beside the template.
_FILES = ("CodeUri", "ContentUri", "DefinitionUri")


def bucket_name(account: Account) -> str:
    return f"slimreel-artefacts-{account.account_id}-{account.region}"


def ensure_bucket(account: Account) -> tuple[str, bool]:
    """The artefact bucket's name, private and encrypted, and whether it was made just now.

    Raises:
        CannotDeploy: the name is somebody else's, or may not be made.
    """
    from botocore.exceptions import ClientError

    s3, name = account.client("s3"), bucket_name(account)
    owner = {"Bucket": name, "ExpectedBucketOwner": account.account_id}
    made = False
    try:
        s3.head_bucket(**owner)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise CannotDeploy(
                f"The bucket {name} cannot be used ({error.response['Error']['Code']}): it "
                "belongs to another account, or you lack s3:ListBucket on it."
            ) from error
        # us-east-1 is the one Region that is named by leaving it out.
        place = {"CreateBucketConfiguration": {"LocationConstraint": account.region}}
        s3.create_bucket(Bucket=name, **(place if account.region != "us-east-1" else {}))
        made = True
    if made:
        _lock_down(s3, name, owner)
    return name, made


def _lock_down(s3: Any, name: str, owner: dict[str, str]) -> None:
    s3.put_public_access_block(
        **owner,
        PublicAccessBlockConfiguration=dict.fromkeys(
            ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"),
            True,
        ),
    )
    default = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(**owner, ServerSideEncryptionConfiguration={"Rules": [default]})
    arn = f"arn:aws:s3:::{name}"
    if s3.meta.region_name.startswith("cn-"):
        arn = arn.replace("arn:aws:", "arn:aws-cn:")
    tls_only = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    policy = {"Version": "2012-10-17", "Statement": [tls_only]}
    s3.put_bucket_policy(**owner, Policy=json.dumps(policy))


def upload_template(account: Account, folder: Path, bucket: str, say: Say) -> tuple[Template, str]:
    """Send what `sam.yaml` in `folder` names, then the template itself.

    Returns:
        The template with every file replaced by its address, and the template's own address.

    Raises:
        CannotDeploy: there is no package in `folder`, or it names a file that is missing.
    """
    template = _loaded(folder)
    places: dict[str, str] = {}
    for holder in _holders(template):
        for member in _FILES:
            named = holder.get(member)
            if isinstance(named, str) and "://" not in named:
                if named not in places:
                    places[named] = _uploaded(account, bucket, folder / named, say)
                holder[member] = f"s3://{bucket}/{places[named]}"
    body = json.dumps(template, sort_keys=True).encode()
    key = f"template/{hashlib.sha256(body).hexdigest()}.json"
    s3 = account.client("s3")
    s3.put_object(
        Bucket=bucket,
        Key=key,
        Body=body,
        ContentType="application/json",
        ExpectedBucketOwner=account.account_id,
    )
    return template, f"{s3.meta.endpoint_url.rstrip('/')}/{bucket}/{key}"


def _loaded(folder: Path) -> Template:
    from chalice.package import YAMLTemplateSerializer

    file = folder / "sam.yaml"
    if not file.exists():
        raise CannotDeploy(f"There is no package in {folder}: slimreel package --out {folder}")
    text = file.read_text(encoding="utf-8")
    try:
        loaded = json.loads(text)
    except ValueError:
        loaded = YAMLTemplateSerializer().load_template(text, str(file))
    return json.loads(json.dumps(loaded))  # type: ignore[no-any-return]  # anchors share dicts


def _holders(template: Template) -> list[dict[str, Any]]:
    resources = [one.get("Properties", {}) for one in template["Resources"].values()]
    return [*template.get("Globals", {}).values(), *resources]


def _uploaded(account: Account, bucket: str, file: Path, say: Say) -> str:
    from botocore.exceptions import ClientError

    if not file.is_file():
        raise CannotDeploy(f"The template names {file}, which is not there: package again.")
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    key, size = f"{file.stem}/{digest}{file.suffix}", file.stat().st_size
    s3, owner = account.client("s3"), {"ExpectedBucketOwner": account.account_id}
    try:
        if s3.head_object(Bucket=bucket, Key=key, **owner)["ContentLength"] == size:
            say(f"{file.name} is there already")
            return key
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] not in (403, 404):
            raise
    say(f"Sending {file.name}, {size / 1e6:.1f} MB")
    s3.upload_file(str(file), bucket, key, ExtraArgs=owner)
    return key
