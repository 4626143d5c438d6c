"""A stage's whole life: deployed into an empty account, used, changed, taken out again."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from chalicelib.adapters.records import Records
from chalicelib.domain.job import Job, Status
from chalicelib.domain.row import KEY_FIELD, TABLE_NAME
from slimreel.deploying import package
from slimreel.deploying.account import connect
from slimreel.deploying.parameters import outputs_of, values_of
from slimreel.doctor import google, video
from slimreel.doctor.examine import CHECKS, examine
from slimreel.doctor.site import Site
from slimreel.doctor.video import make_clip
from slimreel.local import REGION
from slimreel.local.faults import Fault
from tests.deploying.conftest import ROOT, Place, Slimreel

STAGE = "life"


def until(look: Callable[[], Any], what: str, wait_s: float = 60.0) -> Any:
    end = time.monotonic() + wait_s
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.25)
    raise AssertionError(f"waited {wait_s:.0f} s for {what}")


def the_stack(place: Place) -> dict[str, Any]:
    stacks = place.client("cloudformation").describe_stacks(StackName=f"slimreel-{STAGE}")
    return dict(stacks["Stacks"][0])


def confirm(place: Place) -> None:
    """Follow the links in the mails of SNS that ask for it."""
    for mail in place.cloud.mailbox.mails():
        if "Subscription Confirmation" in mail.subject:
            [link] = re.findall(r"http://\S+", mail.body)
            requests.get(link, timeout=10)


def findings(slimreel: Slimreel, *more: str) -> dict[str, tuple[str, str]]:
    """What the doctor says: verdict and sentence, with the next step, by check."""
    _, said = slimreel("doctor", "--stage", STAGE, "--json", *more)
    told = json.loads(said)["findings"]
    return {one["check"]: (one["verdict"], f"{one['said']} {one['next_step']}") for one in told}


@pytest.mark.timeout(300)
def test_a_stages_whole_life(
    place: Place, slimreel: Slimreel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = place.accounts
    deploy = ("deploy", "--stage", STAGE, "--package", str(place.package), "--yes")

    # An empty account: the doctor says what is missing, setup asks for it, and goes on where a
    # missing answer stopped it.
    first = findings(slimreel)
    assert first["google-key"][0] == first["stack"][0] == "wrong"
    assert first["drive-channel"][0] == "unknown"
    answers = tmp_path / "answers.toml"
    answers.write_text(f'google_key = "{made.google_key}"\ndrive_folder = "{made.folder_id}"\n')
    setup = ("setup", "--stage", STAGE, "--package", str(place.package), "--yes", "--answers")
    status, said = slimreel(*setup, str(answers))
    assert status == 2 and "The answer airtable_base is missing" in said
    answers.write_text(
        f'airtable_token = "{made.airtable_token}"\n'
        f'airtable_base = "https://airtable.com/{made.base_id}/"\n'
        'notice_email = "team@example.com"\nalarm_email = "engineer@example.com"\n'
    )
    status, said = slimreel(*setup, str(answers))
    assert status == 1, said  # nobody has confirmed yet
    assert "Open; Drive rang last on" in said and "2 left to do" in said
    confirm(place)
    assert values_of(the_stack(place))["PublicUrl"] == f"{place.cloud.endpoint_url}/api"
    assert {verdict for verdict, _ in findings(slimreel).values()} <= {"ok", "note"}

    # The doctor's test video runs through those resources, and through no others.
    outputs = outputs_of(the_stack(place))
    dropped: list[tuple[Path, str]] = []

    def made_and_dropped(folder: Path) -> Path:
        clip = make_clip(folder)
        dropped.append((clip, place.cloud.drive.add_file(made.folder_id, clip.name, clip)))
        return clip

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(video, "make_clip", made_and_dropped)
    monkeypatch.setattr(video, "LOOK_EVERY_S", 0.2)
    verdict, told = findings(slimreel, "--video")["test-video"]
    assert verdict == "ok" and told.startswith("Completed: "), told
    [(clip, file_id)] = dropped
    table = place.cloud.resource("dynamodb").Table(outputs["JobsTableName"])
    records = Records(table)

    def ended() -> Job | None:
        items = [item for item in table.scan()["Items"] if item.get("job_id")]
        jobs = [records.get(item["job_id"]) for item in items]
        closed = [job for job in jobs if job is not None and not job.status.is_open]
        return closed[0] if closed and closed[0].notices_sent else None

    job: Job = until(ended, "the job to end")
    assert job.status is Status.COMPLETED, job.reason
    published = place.client("s3").head_object(
        Bucket=outputs["CompressedBucketName"], Key=job.published_key
    )
    assert published["ContentLength"] == job.published_size_bytes
    assert place.cloud.mailbox.mails()[0].recipient == "team@example.com"
    rows = until(lambda: place.cloud.airtable.rows(made.base_id, TABLE_NAME), "the row")
    assert [row[KEY_FIELD] for row in rows] == [job.job_id]
    _the_doctor_finds_what_is_wrong(place, outputs, file_id)

    # The same again changes nothing; a setting changes what needs it, and the rest is remembered.
    status, said = slimreel(*deploy)
    assert status == 0 and "Nothing changes" in said and "is there already" in said
    status, said = slimreel(*deploy, "--parameter", "MaxCostPerDay=20")
    assert status == 0
    assert "~ setting MaxCostPerDay: empty becomes 20" in said
    assert "~ changed 23 functions: Environment" in said
    values = values_of(the_stack(place))
    assert (values["MaxCostPerDay"], values["NoticeEmail"]) == ("20", "team@example.com")

    # Out again: videos and records stay, and can be deleted later, even from another machine.
    films = outputs["CompressedBucketName"]
    status, said = slimreel("destroy", "--stage", STAGE, "--yes")
    assert status == 0, said
    assert f"kept: 1 video in {films}" in said
    assert place.client("s3").head_object(Bucket=films, Key=job.published_key)
    left = place.client("lambda").list_functions()["Functions"]
    assert not [one for one in left if f"-{STAGE}-" in one["FunctionName"]]
    assert not _stack_lives(place)
    again = ("destroy", "--stage", STAGE, "--delete-videos", "--delete-jobs")
    status, said = slimreel(*again, "--yes")
    assert status == 1 and f"--confirm {STAGE}" in said
    status, said = slimreel(*again, "--confirm", "prod")
    assert status == 2 and "Nothing was deleted" in said
    status, said = slimreel(*again, "--confirm", STAGE)
    assert status == 0 and f"Deleted the bucket {films} with 1 video." in said
    tables = place.client("dynamodb").list_tables()["TableNames"]
    assert outputs["JobsTableName"] not in tables
    status, said = slimreel(*again, "--confirm", STAGE)
    assert status == 0 and said.startswith(f"There is no slimreel-{STAGE} in account")
    assert clip.name in [path.name for path in made.folder.iterdir()]


def _stack_lives(place: Place) -> bool:
    stacks = place.client("cloudformation").describe_stacks()["Stacks"]
    return any(stack["StackName"] == f"slimreel-{STAGE}" for stack in stacks)


def _the_doctor_finds_what_is_wrong(place: Place, outputs: dict[str, str], file_id: str) -> None:
    """Each thing broken by itself, on the stage as it runs."""
    ssm, made = place.client("ssm"), place.accounts

    def secret(name: str, value: str) -> None:
        ssm.put_parameter(
            Name=f"/slimreel/{STAGE}/{name}", Value=value, Type="SecureString", Overwrite=True
        )

    account = connect(STAGE, region=REGION)

    def found(check: str, **wanted: str) -> tuple[str, str]:
        """As the doctor would find it, with these settings as if they were deployed."""
        site = Site(account, STAGE, ROOT, wanted)
        names = [one.name for one in CHECKS if check.startswith(one.name)]
        name = max(names, key=len)
        [told] = [one for one in examine(site, [name]) if one.check == check]
        site.forget()
        return told.verdict.value, f"{told.said} {told.next_step}"

    key = made.google_key.read_text()
    for broken, said in (
        ("{", "It is not JSON"),
        (json.dumps({"installed": {}}), "an OAuth client, not a service account's key"),
        (json.dumps({**json.loads(key), "private_key": ""}), "It lacks private_key"),
        (json.dumps({**json.loads(key), "client_email": "no@x"}), "Google refuses the key"),
    ):
        secret("google-credentials", broken)
        verdict, told = found("google-key")
        assert verdict == "wrong" and said in told, told
    secret("google-credentials", key)

    secret("airtable-token", "patWrong")
    assert found("airtable")[0] == "wrong" and "wrong, expired or revoked" in found("airtable")[1]
    secret("airtable-token", place.cloud.airtable_token)

    queue = outputs["RowsDeadLettersUrl"]
    place.client("sqs").send_message(QueueUrl=queue, MessageBody="{}", MessageGroupId="rows",
                                     MessageDeduplicationId="1")  # fmt: skip
    assert found("given-up")[0] == "wrong" and "slimreel redrive" in found("given-up")[1]
    place.client("sqs").purge_queue(QueueUrl=queue)

    place.cloud.awslambda.concurrency_quota = 10
    verdict, told = found("lambda-quota")
    assert verdict == "wrong" and "FetchConcurrency=0 --parameter AnswerConcurrency=0" in told
    place.cloud.awslambda.concurrency_quota = 1000

    for wanted, check, said in (
        ({"DriveInboxFolder": "1NotShared0000"}, "drive-folder-compress", "as Viewer"),
        ({"DriveInboxFolder": file_id}, "drive-folder-compress", "no folder"),
        ({"DriveInboxFolder": ""}, "drive-folder-compress", "watches nothing"),
        ({"DriveResultsFolder": "beside"}, "drive-results-compress", "own no files"),
        ({"DriveResultsFolder": "1NotShared0000"}, "drive-results-compress", "does not see"),
        ({"AirtableBaseId": "appNope0000000000"}, "airtable", "cannot see a base"),
        ({"AirtableTable": "Others"}, "airtable", "has no table Others"),
        ({"AirtableRowLimit": "1"}, "airtable-room", "1 of 1 rows used"),
        ({"NoticeEmail": "else@example.com"}, "notices", "aws sns subscribe --topic-arn arn:"),
        ({"PublicUrl": ""}, "stack", "do not know their own address"),
    ):
        verdict, told = found(check, **wanted)
        assert verdict == "wrong" and said in told, told
    drive = place.cloud.drive
    team = drive.add_folder("Team", drive.add_folder("Shared drives"))
    assert found("drive-results-compress", DriveResultsFolder=team)[0] == "ok"
    site = Site(account, STAGE, ROOT, {"DriveInboxFolder": team})
    [watched, told] = [one for one in google.folders(site) if one.check.endswith("-compress")]
    site.forget()
    assert (watched.verdict.value, told.verdict.value) == ("ok", "ok")
    assert "every 15 minutes" in told.said
    drive.set_member(False)
    site = Site(account, STAGE, ROOT, {"DriveInboxFolder": team})
    told = next(one for one in google.folders(site) if one.check == "drive-log-compress")
    site.forget()
    assert told.verdict.value == "note" and "add the account as Viewer" in told.next_step
    drive.set_member(True)
    drive.set_read_only(team)
    verdict, said = found("drive-results-compress", DriveResultsFolder=team)
    assert verdict == "wrong" and "make it an Editor" in said
    account.close()


# A small template shows the rest in less time.

QUEUE = {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 30}}
FILMS = {
    "Type": "AWS::S3::Bucket",
    "DeletionPolicy": "Retain",
    "UpdateReplacePolicy": "Retain",
    "Properties": {"BucketName": {"Fn::Sub": "films-${Stage}"}},
}


@pytest.fixture
def small(tmp_path: Path) -> Callable[..., tuple[str, ...]]:
    """Arguments to deploy a package of these resources."""

    def made(stage: str, **resources: Any) -> tuple[str, ...]:
        template = {
            "Parameters": {
                "Stage": {"Type": "String", "Default": stage},
                "LogLevel": {"Type": "String", "Default": "INFO"},
                **{
                    name: {"Type": "String", "Default": ""}
                    for name in ("DriveApiUrl", "AirtableApiUrl", "FfmpegPath")
                },
            },
            "Resources": resources,
        }
        (tmp_path / "sam.yaml").write_text(json.dumps(template))
        return ("deploy", "--stage", stage, "--package", str(tmp_path))

    return made


Small = Callable[..., tuple[str, ...]]


def test_what_would_lose_films_is_refused_loudly(small: Small, slimreel: Slimreel) -> None:
    assert slimreel(*small("loss", Films=FILMS, Queue=QUEUE), "--yes")[0] == 0
    other = {**FILMS, "Properties": {"BucketName": "elsewhere"}}
    status, said = slimreel(*small("loss", Films=other, Queue=QUEUE), "--yes")
    assert status == 1
    assert "! REPLACED bucket Films: BucketName cannot change in place" in said
    assert "REFUSED" in said and "deploy again with --may-replace Films" in said
    status, said = slimreel(*small("loss", Queue=QUEUE), "--yes")
    assert status == 1
    assert "- removed bucket Films (what it holds is kept)" in said and "would leave" in said
    status, said = slimreel(*small("loss", Queue=QUEUE), "--yes", "--may-replace", "Films")
    assert status == 0, said


def test_without_an_answer_nothing_happens(small: Small, slimreel: Slimreel, place: Place) -> None:
    status, said = slimreel(*small("unasked", Queue=QUEUE))
    assert status == 2 and "Nobody is here to answer" in said and "Nothing was changed." in said
    stack = place.client("cloudformation")

    def names() -> list[str]:
        return [one["StackName"] for one in stack.describe_stacks()["Stacks"]]

    until(lambda: "slimreel-unasked" not in names(), "what was only under review to go")


def test_a_failure_says_the_first_cause_and_what_to_do(
    small: Small, slimreel: Slimreel, place: Place
) -> None:
    place.cloud.faults.add(
        Fault(
            service="sqs",
            operation="CreateQueue",
            status=400,
            code="AccessDenied",
            message="User is not authorized to perform sqs:CreateQueue",
        )
    )
    status, said = slimreel(*small("ill", Queue=QUEUE), "--yes")
    assert status == 1
    assert "Making the stack failed, and the stack is now ROLLBACK_COMPLETE." in said
    assert "First cause: queue Queue:" in said and "sqs:CreateQueue" in said
    assert "Next: Your AWS user lacks that right" in said
    status, said = slimreel(*small("ill", Queue=QUEUE), "--yes")
    assert status == 0, said
    assert "The first attempt to make slimreel-ill failed and was undone" in said


def test_an_update_that_could_not_be_undone_is_undone_by_the_next_run(
    small: Small, slimreel: Slimreel, place: Place
) -> None:
    assert slimreel(*small("torn", Queue=QUEUE), "--yes")[0] == 0
    fault = Fault(service="sqs", operation="SetQueueAttributes", times=2, status=400, code="No")
    place.cloud.faults.add(fault)
    slow = {**QUEUE, "Properties": {"VisibilityTimeout": 60}}
    status, said = slimreel(*small("torn", Queue=slow), "--yes")
    assert status == 1 and "UPDATE_ROLLBACK_FAILED" in said
    status, said = slimreel(*small("torn", Queue=slow), "--yes")
    assert status == 0, said
    assert "Undoing it is tried once more." in said
    stack = place.cloud.cloudformation.stack("slimreel-torn")
    assert stack is not None
    asked = {"QueueUrl": stack.resources["Queue"], "AttributeNames": ["VisibilityTimeout"]}
    attributes = place.client("sqs").get_queue_attributes(**asked)["Attributes"]
    assert attributes == {"VisibilityTimeout": "60"}


def test_a_right_that_lacks_is_named(small: Small, slimreel: Slimreel, place: Place) -> None:
    place.cloud.faults.add(
        Fault(service="cloudformation", operation="DescribeStacks", status=403, code="AccessDenied")
    )
    status, said = slimreel(*small("denied", Queue=QUEUE), "--yes")
    assert status == 1
    assert "AWS refused DescribeStacks: AccessDenied" in said and "Ask for that right" in said


def test_ctrl_c_leaves_it_going_and_the_next_run_follows(
    small: Small, slimreel: Slimreel, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a creation that takes its time, and a person who does not
    place.cloud.faults.add(Fault(service="sqs", operation="CreateQueue", delay_s=1.0))

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("slimreel.deploying.follow.sleep", interrupted)
        status, said = slimreel(*small("slow", Queue=QUEUE), "--yes")
    assert status == 130
    assert "CloudFormation goes on without you" in said
    # When the same is run again, then it follows to the end, and nothing is left to do
    status, said = slimreel(*small("slow", Queue=QUEUE), "--yes")
    assert status == 0
    assert "slimreel-slow is CREATE_IN_PROGRESS: following that first." in said
    assert "Nothing changes" in said


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("LogLevle=DEBUG", "There is no parameter LogLevle. Do you mean LogLevel?"),
        ("Stage=prod", "The stage is given by --stage alone."),
    ],
)
def test_a_setting_that_does_not_exist_is_pointed_out(
    small: Small, slimreel: Slimreel, flag: str, said: str
) -> None:
    status, told = slimreel(*small("typo", Queue=QUEUE), "--yes", "--parameter", flag)
    assert status == 1 and said in told


def test_the_stage_file_gives_settings_and_a_flag_comes_before_it(
    small: Small, slimreel: Slimreel, place: Place, stages: Path
) -> None:
    file = stages / "filed.toml"
    file.write_text('region = "eu-west-1"\n[parameters]\nLogLevel = "WARN"\n')

    def level() -> str:
        stacks = place.client("cloudformation").describe_stacks(StackName="slimreel-filed")
        return values_of(stacks["Stacks"][0])["LogLevel"]

    queue = {**QUEUE, "Properties": {"QueueName": {"Fn::Sub": "filed-${LogLevel}"}}}
    flag = ("--yes", "--parameter", "LogLevel=DEBUG")
    assert slimreel(*small("filed", Queue=queue), "--yes")[0] == 0
    assert level() == "WARN"
    file.write_text("[parameters]\nLogLevel = { no = 1 }\n")
    status, said = slimreel(*small("filed", Queue=queue), *flag)
    assert status == 1 and "LogLevel must be a text" in said
    file.unlink()
    assert "Nothing changes" in slimreel(*small("filed", Queue=queue), "--yes")[1]
    assert level() == "WARN"  # CloudFormation remembers


def test_the_artefact_bucket_is_private_encrypted_and_never_sent_to_twice(
    small: Small, slimreel: Slimreel, place: Place, tmp_path: Path
) -> None:
    assert slimreel(*small("store", Queue=QUEUE), "--yes")[0] == 0
    s3, bucket = place.client("s3"), "slimreel-artefacts-123456789012-eu-west-1"
    block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert all(block.values())
    assert s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
    assert "aws:SecureTransport" in s3.get_bucket_policy(Bucket=bucket)["Policy"]


def test_somebody_elses_bucket_of_that_name_gets_nothing(
    small: Small, slimreel: Slimreel, place: Place
) -> None:
    place.cloud.faults.add(Fault(service="s3", operation="HeadBucket", status=403, code="Denied"))
    status, said = slimreel(*small("stolen", Queue=QUEUE), "--yes")
    assert status == 1 and "belongs to another account" in said


def test_without_credentials_it_says_how_to_sign_in(
    small: Small, slimreel: Slimreel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    status, said = slimreel(*small("nobody", Queue=QUEUE), "--yes")
    assert status == 1 and "aws sso login" in said


def test_a_package_is_made_anew_only_when_something_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rich.console import Console

    built: list[str] = []

    def build(_: Path, stage: str, folder: Path, __: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        built.append(stage)

    monkeypatch.setattr("slimreel.packaging.build", build)
    for name in ("app.py", "requirements.txt", "constraints.txt", "slimreel/template.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    console = Console(quiet=True)
    for _ in range(2):
        package.packaged(tmp_path, "prod", console)
    assert built == ["prod"]
    (tmp_path / "app.py").write_text("changed")
    package.packaged(tmp_path, "prod", console)
    assert built == ["prod", "prod"]
