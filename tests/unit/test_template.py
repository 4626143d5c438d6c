from __future__ import annotations

import gc
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from chalicelib.domain.job import Job
from slimreel.local.stack.order import _needs as needs_of
from slimreel.local.stack.values import Resolver, references
from slimreel.template import (
    CODE_LOCATION,
    LAYER_LOCATION,
    BadTemplate,
    cloudformation,
    merge_template,
    sam_template,
    translate,
)

ROOT = Path(__file__).resolve().parents[2]
Template = dict[str, Any]

# Actions for which IAM knows no resource.
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsstepfunctions.html
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_awselementalmediaconvert.html
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html
# https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html (delivery of a flow's log)
WITHOUT_RESOURCE = {
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
    "mediaconvert:Probe",
    "states:SendTaskFailure",
    "states:SendTaskHeartbeat",
    "states:SendTaskSuccess",
}


@pytest.fixture(scope="module")
def sam() -> Template:
    return sam_template(ROOT, "dev")


@pytest.fixture(scope="module")
def template(sam: Template) -> Template:
    return translate(sam)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project that a test may change."""
    for folder in (".chalice", "chalicelib", "workflows"):
        ignored = shutil.ignore_patterns("__pycache__", "deployments")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    shutil.copy(ROOT / "app.py", tmp_path)
    return tmp_path


def of_type(template: Template, kind: str) -> dict[str, Any]:
    return {
        name: resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }


def policies(template: Template) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every allowing statement of every role."""
    for name, role in of_type(template, "AWS::IAM::Role").items():
        for policy in role.get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield name, statement


def actions(statement: Mapping[str, Any]) -> list[str]:
    action = statement["Action"]
    return [action] if isinstance(action, str) else action


# The whole


def test_every_function_of_the_app_is_there_under_a_fixed_name(template: Template) -> None:
    names = {
        function["FunctionName"]["Fn::Sub"]
        for function in of_type(template, "AWS::Lambda::Function").values()
    }
    steps = (
        "register fetch inspect plan budget encode choose restore measure verify publish write_back"
        " announce fail"
    )
    triggers = (
        "api_handler drive_changed rows_changed encode_changed execution_ended sweep_drive"
        " renew_channel reconcile_jobs requeue_rows"
    )
    assert names == {f"slimreel-${{Stage}}-{name}" for name in f"{steps} {triggers}".split()}


def test_nothing_is_packaged(template: Template) -> None:
    bucket, key = CODE_LOCATION.removeprefix("s3://").split("/", 1)
    for function in of_type(template, "AWS::Lambda::Function").values():
        assert function["Code"] == {"S3Bucket": bucket, "S3Key": key}
    bucket, key = LAYER_LOCATION.removeprefix("s3://").split("/", 1)
    for layer in of_type(template, "AWS::Lambda::LayerVersion").values():
        assert layer["Content"] == {"S3Bucket": bucket, "S3Key": key}
    assert not (ROOT / ".chalice" / "deployments").exists()


def test_parameters_stay_references_so_that_one_translation_serves_any_values(
    template: Template,
) -> None:
    assert template["Parameters"]["Stage"]["Default"] == "dev"
    variables = of_type(template, "AWS::Lambda::Function")["Plan"]["Environment"]["Variables"]
    assert variables["STAGE"] == {"Ref": "Stage"}


def test_functions_get_every_variable_the_settings_read(template: Template) -> None:
    source = (ROOT / "chalicelib" / "config.py").read_text()
    read = set(re.findall(r'env\.get\("(\w+)"', source))
    assert read, "settings are read with env.get"
    for function in of_type(template, "AWS::Lambda::Function").values():
        assert read <= set(function["Environment"]["Variables"])


def test_no_key_of_the_merge_file_is_written_twice() -> None:
    class Strict(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [key.value for key, _ in node.value]
            assert len(keys) == len(set(keys)), f"{node.start_mark}: a key twice in {keys}"
            return super().construct_mapping(node, deep)

    def tagged(loader: Any, _suffix: str, node: Any) -> Any:
        return loader.construct_mapping(node) if isinstance(node, yaml.MappingNode) else None

    Strict.add_multi_constructor("!", tagged)
    yaml.load((ROOT / ".chalice" / "resources.yaml").read_text(), Loader=Strict)


def test_cfn_lint_agrees(sam: Template, template: Template, tmp_path: Path) -> None:
    pytest.importorskip("cfnlint", reason="cfn-lint is not installed")
    files = []
    for form, text in (("sam", sam), ("template", template)):
        files.append(tmp_path / f"{form}.json")
        files[-1].write_text(json.dumps(text))
    # Its recursion is as deep as the flow has lines.
    run = (
        "import sys; sys.setrecursionlimit(9999); from cfnlint.runner import main; sys.exit(main())"
    )
    lint = [sys.executable, "-c", run]
    command = [*lint, "--regions", "eu-west-1", "--template", *map(str, files)]
    linted = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (linted.returncode, linted.stdout, linted.stderr) == (0, "", "")


def test_only_measure_gets_the_ffmpeg_layer(template: Template) -> None:
    (name,) = of_type(template, "AWS::Lambda::LayerVersion")
    layered = {
        function: properties["Layers"]
        for function, properties in of_type(template, "AWS::Lambda::Function").items()
        if "Layers" in properties
    }
    assert layered == {"Measure": [{"Ref": name}]}
    assert template["Parameters"]["FfmpegPath"]["Default"] == "/opt/bin/ffmpeg"
    users = {
        path.stem
        for path in (ROOT / "chalicelib" / "steps").glob("*.py")
        if ".ffmpeg" in path.read_text()
    }
    assert users == {"measure"}, "the steps that run ffmpeg"


# Flows


def test_a_flow_is_a_state_machine_that_may_invoke_exactly_its_functions(
    template: Template,
) -> None:
    flow = of_type(template, "AWS::StepFunctions::StateMachine")["CompressFlow"]
    assert flow["StateMachineName"] == {"Fn::Sub": "slimreel-${Stage}-compress"}
    used = set(re.findall(r"\$\{(\w+)\}", (ROOT / "workflows/compress.asl.json").read_text()))
    arns = {name: {"Fn::GetAtt": [name.title().replace("_", ""), "Arn"]} for name in used}
    assert flow["DefinitionSubstitutions"] == arns
    assert flow["RoleArn"] == {"Fn::GetAtt": ["CompressFlowRole", "Arn"]}
    statement, *reports = (s for name, s in policies(template) if name == "CompressFlowRole")
    assert actions(statement) == ["lambda:InvokeFunction"]
    assert {a.partition(":")[0] for s in reports for a in actions(s)} == {"logs", "xray"}
    assert sorted(map(str, statement["Resource"])) == sorted(map(str, arns.values()))


def test_a_new_flow_is_two_files_and_no_code(project: Path) -> None:
    flow = {"StartAt": "P", "States": {"P": {"Type": "Task", "Resource": "${plan}", "End": True}}}
    (project / "workflows" / "podcast-clips.asl.json").write_text(json.dumps(flow))
    (project / "workflows" / "podcast-clips.toml").write_text(
        '[start]\ndrive_folder = "${PODCAST_FOLDER}"\n'
    )
    template = cloudformation(project, "dev")
    machine = of_type(template, "AWS::StepFunctions::StateMachine")["PodcastClipsFlow"]
    assert machine["StateMachineName"] == {"Fn::Sub": "slimreel-${Stage}-podcast-clips"}
    assert template["Outputs"]["PodcastClipsFlowArn"]["Value"] == {"Ref": "PodcastClipsFlow"}
    assert template["Parameters"]["PodcastFolder"]["Default"] == ""
    for function in of_type(template, "AWS::Lambda::Function").values():
        variables = function["Environment"]["Variables"]
        assert variables["PODCAST_FOLDER"] == {"Ref": "PodcastFolder"}
    ended = of_type(template, "AWS::Events::Rule")["ExecutionEndedExecutionEndedEvent"]
    assert ended["EventPattern"]["detail"] == {
        "status": ["FAILED", "TIMED_OUT", "ABORTED"],
        "stateMachineArn": [
            {"Ref": "ArchiveFlow"},
            {"Ref": "CompressFlow"},
            {"Ref": "PodcastClipsFlow"},
        ],
    }


def test_a_flow_that_calls_an_unknown_function(project: Path) -> None:
    flow = project / "workflows" / "compress.asl.json"
    flow.write_text(flow.read_text().replace("${plan}", "${plann}"))
    with pytest.raises(BadTemplate, match=r"compress\.asl\.json: app\.py has no function plann"):
        sam_template(project, "dev")


def test_a_flow_that_is_not_json(project: Path) -> None:
    (project / "workflows" / "compress.asl.json").write_text("{")
    with pytest.raises(BadTemplate, match=r"compress\.asl\.json: Expecting property name"):
        sam_template(project, "dev")


def test_settings_without_a_folder(project: Path) -> None:
    (project / "workflows" / "compress.toml").write_text("[start]\n")
    with pytest.raises(BadTemplate, match=r"compress\.toml: no \[start\] drive_folder"):
        sam_template(project, "dev")


def test_an_app_that_cannot_be_read(project: Path) -> None:
    (project / "app.py").write_text("app = (")
    with pytest.raises(BadTemplate, match=r"Unable to import your app\.py file"):
        sam_template(project, "dev")


def test_a_function_without_a_policy_of_its_own(project: Path) -> None:
    (project / ".chalice" / "policy-plan.json").unlink()
    with pytest.raises(BadTemplate, match=r"policy-plan\.json"):
        sam_template(project, "dev")


def test_an_unknown_stage() -> None:
    with pytest.raises(BadTemplate, match="has no stage 'develop'"):
        sam_template(ROOT, "develop")


def test_the_merge_file_for_chalice_holds_the_flows(sam: Template) -> None:
    merged = merge_template(ROOT, "dev")
    assert merged["Resources"]["CompressFlow"] == sam["Resources"]["CompressFlow"]
    assert "Runtime" not in merged["Resources"]["Plan"]["Properties"]


# Reading app.py


def test_the_interpreter_is_left_as_it_was(project: Path) -> None:
    app = project / "app.py"
    app.write_text(f"{app.read_text()}\nimport os\n\nos.environ['LEAKED'] = '1'\n")
    import chalicelib

    before = (sys.path.copy(), dict(os.environ), sys.modules.get("app"))
    sam_template(project, "dev")
    assert (sys.path, dict(os.environ), sys.modules.get("app")) == before
    assert sys.modules["chalicelib"] is chalicelib


def test_each_project_is_read_anew(project: Path) -> None:
    app = project / "app.py"
    extra = (
        '@app.lambda_function(name="thumbnail")\ndef thumbnail(event, context):\n    return {}\n'
    )
    app.write_text(f"{app.read_text()}\n\n{extra}")
    shutil.copy(project / ".chalice/policy-plan.json", project / ".chalice/policy-dev.json")
    assert "Thumbnail" in sam_template(project, "dev")["Resources"]
    assert "Thumbnail" not in sam_template(ROOT, "dev")["Resources"]


# Permissions


def test_every_function_has_a_role_of_its_own(template: Template) -> None:
    functions = of_type(template, "AWS::Lambda::Function")
    roles = {name: function["Role"]["Fn::GetAtt"][0] for name, function in functions.items()}
    assert len(set(roles.values())) == len(functions)


def test_every_function_may_write_its_own_log_and_no_other(template: Template) -> None:
    for function in of_type(template, "AWS::Lambda::Function").values():
        role = function["Role"]["Fn::GetAtt"][0]
        name = function["FunctionName"]["Fn::Sub"]
        logs = [s for r, s in policies(template) if r == role and "logs:PutLogEvents" in actions(s)]
        assert len(logs) == 1, role
        assert logs[0]["Resource"]["Fn::Sub"].endswith(f":log-group:/aws/lambda/{name}:*")


def test_a_wildcard_stands_only_where_iam_knows_no_resource(template: Template) -> None:
    for role, statement in policies(template):
        assert all("*" not in action for action in actions(statement)), role
        if statement["Resource"] == "*":
            assert set(actions(statement)) <= WITHOUT_RESOURCE, (role, statement)


def test_no_role_reaches_into_another_stage(template: Template) -> None:
    """Names begin with `slimreel-<stage>-`, and a stage's name has no hyphen."""
    pattern = template["Parameters"]["Stage"]["AllowedPattern"]
    assert re.fullmatch(pattern, "dev2") and not re.fullmatch(pattern, "dev-2")
    for role, statement in policies(template):
        listed = statement["Resource"]
        for resource in listed if isinstance(listed, list) else [listed]:
            named = resource.get("Fn::Sub", "") if isinstance(resource, dict) else ""
            if "slimreel" in named:
                assert "slimreel-${Stage}-" in named or "/slimreel/${Stage}/" in named, role


def test_only_the_encoders_role_may_be_lent_and_only_to_mediaconvert(template: Template) -> None:
    lending = [(r, s) for r, s in policies(template) if "iam:PassRole" in actions(s)]
    ((role, statement),) = lending
    assert role == "EncodeRole"
    assert statement["Resource"] == {"Fn::GetAtt": ["EncoderRole", "Arn"]}
    service = statement["Condition"]["StringEquals"]["iam:PassedToService"]
    assert service == "mediaconvert.amazonaws.com"


def test_only_who_publishes_or_sweeps_up_may_delete_what_was_published(
    template: Template,
) -> None:
    may = {
        role
        for role, statement in policies(template)
        if "s3:DeleteObject" in actions(statement)
        and statement["Resource"] != {"Fn::Sub": "${TempBucket.Arn}/jobs/*"}
    }
    assert may == {"PublishRole", "ReconcileJobsRole"}


def test_what_people_ask_for_may_not_touch_more_than_it_needs(template: Template) -> None:
    """The API is one function, and the one that strangers can reach."""
    allowed = {a for r, s in policies(template) if r == "ApiHandlerRole" for a in actions(s)}
    services = {"dynamodb", "logs", "mediaconvert", "s3", "sns", "sqs", "ssm", "states", "xray"}
    assert {action.partition(":")[0] for action in allowed} == services
    forbidden = {
        "dynamodb:DeleteItem",
        "dynamodb:Scan",
        "iam:PassRole",
        "mediaconvert:CreateJob",
        "s3:PutObject",
        "states:StopExecution",
    }
    assert not allowed & forbidden


def test_submitted_objects_are_only_read_and_by_two_functions_only(template: Template) -> None:
    policy = template["Resources"]["ReadsSubmitted"]["Properties"]
    [statement] = policy["PolicyDocument"]["Statement"]
    assert statement["Action"] == ["s3:GetObject", "s3:GetObjectVersion"]
    assert policy["Roles"] == [{"Ref": "ApiHandlerRole"}, {"Ref": "FetchRole"}]
    resolver = Resolver(
        ref={"SubmitBuckets": ["films", "more.films"]}.__getitem__,
        attribute=lambda *_: "",
        conditions={},
        mappings={},
    )
    assert resolver.value(statement["Resource"]) == [
        "arn:aws:s3:::films/*",
        "arn:aws:s3:::more.films/*",
    ]


def test_every_route_but_the_public_ones_asks_who_calls(template: Template) -> None:
    (api,) = of_type(template, "AWS::ApiGateway::RestApi").values()
    asked = {
        (method, path): operation.get("security")
        for path, methods in api["Body"]["paths"].items()
        for method, operation in methods.items()
    }
    open_to_all = {at for at, security in asked.items() if not security}
    assert open_to_all == {
        ("post", "/airtable/notifications"),
        ("post", "/drive/notifications"),
        ("get", "/v/{job_id}"),
        ("get", "/health"),
        ("get", "/app"),
        ("get", "/app/{version}/{name}"),
    }
    for (_, path), security in asked.items():
        wanted = "people" if path.startswith("/web/") else "sigv4"
        assert security in (None, [{wanted: []}]), path
    people = api["Body"]["securityDefinitions"]["people"]
    arns = people["x-amazon-apigateway-authorizer"]["providerARNs"]
    assert arns == [{"Fn::GetAtt": ["People", "Arn"]}]
    scheme = api["Body"]["securityDefinitions"]["sigv4"]
    assert scheme["x-amazon-apigateway-authtype"] == "awsSigv4"


# Storage


@pytest.mark.parametrize("bucket", ["TempBucket", "CompressedBucket"])
def test_buckets_are_private_encrypted_and_tls_only(template: Template, bucket: str) -> None:
    properties = of_type(template, "AWS::S3::Bucket")[bucket]
    assert all(properties["PublicAccessBlockConfiguration"].values())
    assert len(properties["PublicAccessBlockConfiguration"]) == 4
    (rule,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    by_default = rule["ServerSideEncryptionByDefault"]
    assert by_default["SSEAlgorithm"] == {"Fn::If": ["HasKmsKey", "aws:kms", "AES256"]}
    assert by_default["KMSMasterKeyID"]["Fn::If"][:2] == ["HasKmsKey", {"Ref": "KmsKeyArn"}]
    policy = of_type(template, "AWS::S3::BucketPolicy")[f"{bucket}Policy"]
    assert policy["Bucket"] == {"Ref": bucket}
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Deny", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_temporary_files_expire_and_results_stay(template: Template) -> None:
    buckets = of_type(template, "AWS::S3::Bucket")
    temp = buckets["TempBucket"]["LifecycleConfiguration"]["Rules"]
    assert [rule.get("ExpirationInDays") for rule in temp] == [7, None]
    assert temp[1]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    stale, tier = buckets["CompressedBucket"]["LifecycleConfiguration"]["Rules"]
    assert stale.keys() == {"Id", "Status", "AbortIncompleteMultipartUpload"}
    assert tier["Fn::If"][0] == "TiersResults"
    assert tier["Fn::If"][1]["Transitions"][0]["StorageClass"] == "INTELLIGENT_TIERING"
    assert template["Parameters"]["ResultsStorageClass"]["Default"] == "STANDARD"


def test_what_cannot_be_had_again_outlives_the_stack_but_not_a_failed_first_try(
    template: Template,
) -> None:
    for name in ("CompressedBucket", "JobsTable", "People"):
        about = template["Resources"][name]
        assert about["DeletionPolicy"] == "RetainExceptOnCreate"
        assert about["UpdateReplacePolicy"] == "Retain"
    # Cognito would refuse to take the pool back with the rest.
    assert "DeletionProtection" not in template["Resources"]["People"]["Properties"]


# Queues and events


def test_queues_hide_a_message_six_times_as_long_as_it_may_be_worked_on(
    template: Template,
) -> None:
    functions, queues = (
        of_type(template, kind) for kind in ("AWS::Lambda::Function", "AWS::SQS::Queue")
    )
    mappings = of_type(template, "AWS::Lambda::EventSourceMapping").values()
    assert len(mappings) == 2
    for mapping in mappings:
        queue = queues[mapping["EventSourceArn"]["Fn::Sub"][2:].removesuffix(".Arn}")]
        timeout_s = functions[mapping["FunctionName"]["Ref"]]["Timeout"]
        assert queue["VisibilityTimeout"] >= 6 * timeout_s
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert queue["RedrivePolicy"]["maxReceiveCount"] >= 5


def test_encode_changed_hears_our_queue_only_and_loses_nothing(template: Template) -> None:
    rule = of_type(template, "AWS::Events::Rule")["EncodeChangedEncodeChangedEvent"]
    assert rule["EventPattern"] == {
        "source": ["aws.mediaconvert"],
        "detail-type": ["MediaConvert Job State Change"],
        "detail": {
            "queue": [{"Fn::GetAtt": ["EncoderQueue", "Arn"]}],
            "status": ["PROGRESSING", "STATUS_UPDATE", "COMPLETE", "ERROR", "CANCELED"],
        },
    }
    (target,) = rule["Targets"]
    assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["EventDeadLetters", "Arn"]}}
    assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0
    invoke = of_type(template, "AWS::Lambda::EventInvokeConfig")["EncodeChangedEventInvokeConfig"]
    destination = invoke["DestinationConfig"]["OnFailure"]["Destination"]
    assert destination == {"Fn::GetAtt": ["EventDeadLetters", "Arn"]}


def test_a_function_that_gives_up_may_write_to_the_dead_letters(template: Template) -> None:
    for invoke in of_type(template, "AWS::Lambda::EventInvokeConfig").values():
        role = f"{invoke['FunctionName']['Ref']}Role"
        dead = {"Fn::GetAtt": ["EventDeadLetters", "Arn"]}
        assert any(
            r == role and "sqs:SendMessage" in actions(s) and s["Resource"] == dead
            for r, s in policies(template)
        ), role


def test_started_is_not_mailed_by_default(template: Template) -> None:
    subscription = of_type(template, "AWS::SNS::Subscription")["NoticeEmailSubscription"]
    assert subscription["FilterPolicy"] == {"kind": {"Ref": "NoticeKinds"}}
    assert (
        template["Parameters"]["NoticeKinds"]["Default"]
        == "completed,kept,failed,cancelled,alert,digest,summary"
    )


# The API


def test_the_api_is_throttled_and_its_log_group_is_its_own(template: Template) -> None:
    (stage,) = of_type(template, "AWS::ApiGateway::Stage").values()
    assert stage["StageName"] == "api"
    assert stage["MethodSettings"][0]["ThrottlingRateLimit"] > 0
    groups = of_type(template, "AWS::Logs::LogGroup")
    assert groups["ApiHandlerLogGroup"]["LogGroupName"] == {"Fn::Sub": "/aws/lambda/${APIHandler}"}
    assert all(group["RetentionInDays"] == 30 for group in groups.values())


def test_pages_and_lists_travel_compressed(template: Template) -> None:
    (api,) = of_type(template, "AWS::ApiGateway::RestApi").values()
    # API Gateway compresses what is larger, for whoever says that gzip will do.
    assert 0 < api["MinimumCompressionSize"] <= 2048


def test_translating_twice_says_nothing(sam: Template, caplog: pytest.LogCaptureFixture) -> None:
    translate(sam)
    translate(sam)
    gc.collect()
    assert caplog.messages == []


def test_copies_cannot_take_what_the_webhook_and_the_encoder_need(template: Template) -> None:
    functions = of_type(template, "AWS::Lambda::Function")
    bounds = {
        name: properties["ReservedConcurrentExecutions"]["Fn::If"][1]["Ref"]
        for name, properties in functions.items()
        if "ReservedConcurrentExecutions" in properties
    }
    kept = "AnswerConcurrency"
    assert bounds == {"Fetch": "FetchConcurrency", "APIHandler": kept, "EncodeChanged": kept}
    mappings = of_type(template, "AWS::Lambda::EventSourceMapping").values()
    assert {one["ScalingConfig"]["MaximumConcurrency"] for one in mappings} == {2}


def test_a_copy_waits_for_its_turn_as_long_as_it_takes() -> None:
    """Others' copies may take hours; a refusal by the bound must not fail a job."""
    flow = json.loads((ROOT / "workflows" / "compress.asl.json").read_text())
    retriers = {tuple(one["ErrorEquals"]): one for one in flow["States"]["Fetch"]["Retry"]}
    turn = retriers["Lambda.TooManyRequestsException",]
    assert turn["JitterStrategy"] == "FULL"
    waited_s = turn["MaxAttempts"] * turn["MaxDelaySeconds"] / 2  # in the mean
    assert 24 * 3600 < waited_s < flow["TimeoutSeconds"]
    assert 4 * turn["MaxAttempts"] < 25_000  # events in an execution's history


# Nothing is missing, and nothing is there for no reason


#: What acts by itself, so that nothing has to refer to it.
ACTORS = {
    "AWS::ApiGateway::Stage",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::Cognito::UserPoolGroup",
    "AWS::Events::Rule",
    "AWS::IAM::Policy",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Permission",
    "AWS::Logs::LogGroup",  # a function's, by its name
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
}


def test_nothing_is_unreferenced(template: Template) -> None:
    resources, conditions = template["Resources"], template["Conditions"]
    used = {
        other
        for name, resource in resources.items()
        for other in needs_of(resource)
        if other != name
    }
    by_themselves = {name for name, one in resources.items() if one["Type"] in ACTORS}
    assert set(resources) - used - by_themselves == set()
    text = json.dumps(template)
    for condition in conditions:
        assert f'"Condition": "{condition}"' in text or f'["{condition}", ' in text
    used |= set(references([conditions, template["Outputs"]]))
    assert set(template["Parameters"]) <= used


def test_every_log_is_kept_for_a_month_and_everything_is_traced(template: Template) -> None:
    groups = of_type(template, "AWS::Logs::LogGroup")
    names = {group["LogGroupName"]["Fn::Sub"] for group in groups.values()}
    assert all(group["RetentionInDays"] == 30 for group in groups.values())
    for name, function in of_type(template, "AWS::Lambda::Function").items():
        assert f"/aws/lambda/${{{name}}}" in names
        assert function["TracingConfig"] == {"Mode": "Active"}
    for flow in of_type(template, "AWS::StepFunctions::StateMachine").values():
        assert flow["TracingConfiguration"] == {"Enabled": True}
        (target,) = flow["LoggingConfiguration"]["Destinations"]
        group = target["CloudWatchLogsLogGroup"]["LogGroupArn"]["Fn::GetAtt"][0]
        assert group in groups
        assert flow["LoggingConfiguration"]["IncludeExecutionData"] is False
    (stage,) = of_type(template, "AWS::ApiGateway::Stage").values()
    assert stage["TracingEnabled"] is True
    assert stage["AccessLogSetting"]["DestinationArn"]["Fn::Sub"].endswith("${ApiAccessLogs}")
    written = json.loads(stage["AccessLogSetting"]["Format"])
    assert not {"$context.path", "$context.requestOverride.querystring"} & set(written.values())


def test_the_table_can_be_restored_and_forgets_what_is_only_technical(template: Template) -> None:
    (table,) = of_type(template, "AWS::DynamoDB::Table").values()
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    setting = {
        path.stem
        for path in (ROOT / "chalicelib").rglob("*.py")
        if '"expires_at":' in path.read_text()
    }
    assert {"budget", "channel", "rows"} <= setting
    assert not hasattr(Job, "expires_at"), "a job is never forgotten"


def test_a_key_of_ones_own_is_granted_to_who_reads_or_writes_films(template: Template) -> None:
    readers, writers = set(), set()
    for role, statement in policies(template):
        if "s3:GetObject" in actions(statement) or "s3:PutObject" in actions(statement):
            readers.add(role)
        if "s3:PutObject" in actions(statement):
            writers.add(role)
    keys = {
        name: policy
        for name, policy in of_type(template, "AWS::IAM::Policy").items()
        if "kms:" in str(policy["PolicyDocument"])
    }
    granted = {
        policy["PolicyDocument"]["Statement"][0]["Action"]: {r["Ref"] for r in policy["Roles"]}
        for policy in keys.values()
    }
    assert granted == {"kms:Decrypt": readers, "kms:GenerateDataKey": writers}
    for name, policy in keys.items():
        (statement,) = policy["PolicyDocument"]["Statement"]
        assert statement["Resource"] == {"Ref": "KmsKeyArn"}
        assert "kms:ViaService" in statement["Condition"]["StringEquals"]
        assert template["Resources"][name]["Condition"] == "HasKmsKey"
