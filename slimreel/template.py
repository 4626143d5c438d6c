"""The one resource template: what `app.py`, `.chalice/` and `workflows/` add up to.

    app.py, .chalice/config.json ──► Chalice's generator ─┐
    .chalice/resources.yaml ─┐                            ├─► SAM ──► CloudFormation
    workflows/*.asl.json ────┴► `merge_template` ─────────┘

AWS receives the SAM form, the local cloud applies the CloudFormation form. No deployment package
is built here: functions name `CODE_LOCATION` and the layer `LAYER_LOCATION`, which packaging
replaces.
"""

from __future__ import annotations

import copy
import importlib
import json
import os
import re
import sys
import tomllib
import types
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

REGION = "eu-west-1"
CODE_LOCATION = "s3://slimreel-code/deployment.zip"
LAYER_LOCATION = "s3://slimreel-code/ffmpeg-layer.zip"
SUFFIX = ".asl.json"

Template = dict[str, Any]


class BadTemplate(Exception):
    """The project does not add up to a template; the message says which file and why."""


def cloudformation(project_dir: Path, stage: str) -> Template:
    """The template as CloudFormation sees it, every SAM resource translated.

    Parameters stay references, so one translation serves any parameter values.

    Raises:
        BadTemplate: see `sam_template`.
    """
    return translate(sam_template(project_dir, stage))


def sam_template(project_dir: Path, stage: str) -> Template:
    """The SAM template of the project in `project_dir` for one stage of its config.json.

    Raises:
        BadTemplate: unknown stage, a function without a policy file, an app.py that Chalice
            cannot read, or a workflow that names a function app.py does not have.
    """
    from chalice.package import SAMTemplateGenerator, TemplateDeepMerger

    with _chalice_config(project_dir, stage) as config:
        generated = SAMTemplateGenerator(config, _package_options()).generate(_resources(config))
        names = {logical_id(name): name for name in _function_names(config.chalice_app)}
    added = _merge_template(project_dir, stage, names, LAYER_LOCATION)
    merged = TemplateDeepMerger().merge(added, generated)
    return json.loads(json.dumps(merged))  # type: ignore[no-any-return]  # shares no lists or dicts


def parameters(project_dir: Path) -> Template:
    """The settings of a stage: the template's parameters, the workflows' folders included.

    Raises:
        BadTemplate: a workflow's settings cannot be read.
    """
    template = _load_resources(project_dir)
    _add_folders(template, project_dir)
    return dict(template["Parameters"])


def merge_template(
    project_dir: Path, stage: str, *, layer_location: str = LAYER_LOCATION
) -> Template:
    """What `chalice package --merge-template` needs: resources.yaml and what the folders add.

    Args:
        layer_location: of the layer's zip: an `s3://` URI, or a path beside the template.
    """
    with _chalice_config(project_dir, stage) as config:
        names = {logical_id(name): name for name in _function_names(config.chalice_app)}
    return _merge_template(project_dir, stage, names, layer_location)


def translate(sam: Mapping[str, Any]) -> Template:
    """SAM to CloudFormation, offline, with the transform that AWS runs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its imports deprecate each other
        from boto3.session import Session
        from samtranslator.parser.parser import Parser
        from samtranslator.translator.translator import Translator
    template = copy.deepcopy(dict(sam))
    # The transform would write the defaults in place of references to parameters.
    parameters = template["Parameters"]
    template["Parameters"] = {
        name: {key: value for key, value in parameter.items() if key != "Default"}
        for name, parameter in parameters.items()
    }
    translator = Translator({}, Parser(), boto_session=Session(region_name=REGION))
    translated: Template = translator.translate(template, parameter_values={})
    translator.metrics.publish()  # to nobody: the translator warns about what it counted otherwise
    translated["Parameters"] = parameters
    return translated


def logical_id(function: str) -> str:
    """The template's name for a function of app.py: `drive_changed` is `DriveChanged`."""
    from chalice.utils import to_cfn_resource_name

    return "APIHandler" if function == "api_handler" else str(to_cfn_resource_name(function))


def flow_logical_id(workflow: str) -> str:
    """The template's name for a workflow: `compress` is `CompressFlow`."""
    return logical_id(workflow) + "Flow"


def workflow_files(project_dir: Path) -> dict[str, Path]:
    """The flows of a project by name, sorted."""
    files = sorted((project_dir / "workflows").glob(f"*{SUFFIX}"))
    return {file.name.removesuffix(SUFFIX): file for file in files}


def _merge_template(
    project_dir: Path, stage: str, functions: Mapping[str, str], layer_location: str
) -> Template:
    template = _load_resources(project_dir)
    template["Parameters"]["Stage"]["Default"] = stage
    resources = template["Resources"]
    resources["FfmpegLayer"]["Properties"]["ContentUri"] = layer_location
    for identifier, name in functions.items():
        properties = resources.setdefault(identifier, {}).setdefault("Properties", {})
        properties["FunctionName"] = {"Fn::Sub": f"slimreel-${{Stage}}-{name}"}
    dashboard = (project_dir / ".chalice" / "dashboard.json").read_text(encoding="utf-8")
    resources["Dashboard"]["Properties"]["DashboardBody"] = {"Fn::Sub": _compact(dashboard)}
    _add_flows(template, workflow_files(project_dir), {n: i for i, n in functions.items()})
    _add_folders(template, project_dir)
    return template


def _add_flows(template: Template, files: Mapping[str, Path], functions: Mapping[str, str]) -> None:
    resources = template["Resources"]
    for workflow, file in files.items():
        resources |= _flow(workflow, file, functions)
        template["Outputs"][f"{flow_logical_id(workflow)}Arn"] = {
            "Value": {"Ref": flow_logical_id(workflow)}
        }
    ended = resources["ExecutionEnded"]["Properties"]["Events"]["ExecutionEndedEvent"]
    ended["Properties"]["Pattern"]["detail"]["stateMachineArn"] = [
        {"Ref": flow_logical_id(workflow)} for workflow in files
    ]


def _flow(workflow: str, file: Path, functions: Mapping[str, str]) -> Template:
    """The state machine of one file, with the role and the log group of its own."""
    identifier = flow_logical_id(workflow)
    definition, used = _read_flow(file, functions)
    arns = {name: {"Fn::GetAtt": [functions[name], "Arn"]} for name in used}
    log_group = {"LogGroupArn": {"Fn::GetAtt": [f"{identifier}Logs", "Arn"]}}
    machine = {
        "Type": "AWS::Serverless::StateMachine",
        "Properties": {
            "Name": {"Fn::Sub": f"slimreel-${{Stage}}-{workflow}"},
            "Definition": definition,
            "DefinitionSubstitutions": arns,
            "Role": {"Fn::GetAtt": [f"{identifier}Role", "Arn"]},
            "Logging": {
                # What failed, without anyone's input: what matters of it is in our own logs.
                "Level": "ERROR",
                "IncludeExecutionData": False,
                "Destinations": [{"CloudWatchLogsLogGroup": log_group}],
            },
            "Tracing": {"Enabled": True},
        },
    }
    return {
        identifier: machine,
        f"{identifier}Role": _flow_role([*arns.values()]),
        f"{identifier}Logs": _flow_logs(workflow),
    }


def _read_flow(file: Path, functions: Mapping[str, str]) -> tuple[Any, list[str]]:
    """The definition, and which functions it names."""
    text = file.read_text(encoding="utf-8")
    used = sorted(set(re.findall(r"\$\{(\w+)\}", text)))
    unknown = [name for name in used if name not in functions]
    if unknown:
        raise BadTemplate(f"{file}: app.py has no function {', '.join(unknown)}")
    try:
        return json.loads(text), used
    except ValueError as problem:
        raise BadTemplate(f"{file}: {problem}") from problem


def _flow_role(functions: list[Template]) -> Template:
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "states.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    invoke = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": functions}
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
            "Policies": [
                {
                    "PolicyName": "Flow",
                    "PolicyDocument": {
                        "Version": "2012-10-17",
                        "Statement": [invoke, *_FLOW_REPORTS],
                    },
                }
            ],
        },
    }


#: A flow's log is delivered for it, and IAM grants that for all log groups or for none; likewise
#: traces.
#: Source: https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
#: Source: https://docs.aws.amazon.com/step-functions/latest/dg/xray-iam.html
_FLOW_REPORTS = (
    {
        "Effect": "Allow",
        "Action": [
            "logs:CreateLogDelivery",
            "logs:GetLogDelivery",
            "logs:UpdateLogDelivery",
            "logs:DeleteLogDelivery",
            "logs:ListLogDeliveries",
            "logs:PutResourcePolicy",
            "logs:DescribeResourcePolicies",
            "logs:DescribeLogGroups",
        ],
        "Resource": "*",
    },
    {
        "Effect": "Allow",
        "Action": [
            "xray:PutTraceSegments",
            "xray:PutTelemetryRecords",
            "xray:GetSamplingRules",
            "xray:GetSamplingTargets",
        ],
        "Resource": "*",
    },
)


def _flow_logs(workflow: str) -> Template:
    """Under the prefix for which Step Functions need not widen the account's log policy."""
    return {
        "Type": "AWS::Logs::LogGroup",
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Delete",
        "Properties": {
            "LogGroupName": {"Fn::Sub": f"/aws/vendedlogs/states/slimreel-${{Stage}}-{workflow}"},
            "RetentionInDays": 30,
        },
    }


#: Settings that name a Drive folder, and what it is for.
_FOLDERS = {
    ("start", "drive_folder"): "Id of the Google Drive folder that starts {}.",
    ("review", "done_folder"): "Id of the Google Drive folder for approved originals of {}.",
    ("write_back", "to"): (
        "Id of the Google Drive folder for results of {}, or beside: where each original lies."
    ),
}


def _add_folders(template: Template, project_dir: Path) -> None:
    """One parameter and environment variable for each `${FOLDER}` in the workflows' settings."""
    variables = template["Globals"]["Function"]["Environment"]["Variables"]
    for file in sorted((project_dir / "workflows").glob("*.toml")):
        for folder, description in _folders_of(file):
            found = re.fullmatch(r"\$\{([A-Z][A-Z0-9_]*)\}", folder)
            if found and found[1] not in variables:
                parameter = "".join(word.capitalize() for word in found[1].split("_"))
                template["Parameters"][parameter] = {
                    "Type": "String",
                    "Default": "",
                    "Description": description.format(file.stem),
                }
                variables[found[1]] = {"Ref": parameter}


def _folders_of(file: Path) -> Iterator[tuple[str, str]]:
    """The folders that a workflow's settings name, each with what it is for."""
    try:
        settings = tomllib.loads(file.read_text(encoding="utf-8"))
        settings["start"]["drive_folder"]
        for (section, key), description in _FOLDERS.items():
            folder = settings.get(section, {}).get(key)
            if folder is not None:
                yield str(folder), description
    except (tomllib.TOMLDecodeError, AttributeError, KeyError, TypeError) as problem:
        raise BadTemplate(f"{file}: no [start] drive_folder can be read: {problem}") from problem


def _compact(text: str) -> str:
    """The same JSON on one line: a template may be a megabyte, and spaces count."""
    return json.dumps(json.loads(text), separators=(",", ":"))


def _load_resources(project_dir: Path) -> Template:
    from chalice.package import YAMLTemplateSerializer

    file = project_dir / ".chalice" / "resources.yaml"
    loaded = YAMLTemplateSerializer().load_template(file.read_text(encoding="utf-8"), str(file))
    return json.loads(json.dumps(loaded))  # type: ignore[no-any-return]  # YAML anchors share dicts


def _function_names(app: Any) -> list[str]:
    handlers = [*app.pure_lambda_functions, *app.event_sources, *app.builtin_auth_handlers]
    return [handler.name for handler in handlers] + (["api_handler"] if app.routes else [])


@contextmanager
def _chalice_config(project_dir: Path, stage: str) -> Iterator[Any]:
    """Chalice's own configuration of the project, with app.py imported, and checked."""
    with _no_questions():
        from chalice.cli.factory import CLIFactory
    from chalice.deploy.validate import validate_configuration

    factory = CLIFactory(str(project_dir.resolve()), environ={})
    config = factory.create_config_obj(stage, api_gateway_stage=None)
    stages = config.config_from_disk.get("stages", {})
    if stage not in stages:
        raise BadTemplate(f"{project_dir}/.chalice/config.json has no stage {stage!r}: {[*stages]}")
    with _importing_from(project_dir.resolve()):
        try:
            validate_configuration(config)
            yield config
        except (RuntimeError, ValueError) as problem:  # how Chalice says that a file is wrong
            raise BadTemplate(f"{project_dir}: {problem}") from problem


@contextmanager
def _no_questions() -> Iterator[None]:
    """Import Chalice's command line without `inquirer`, which only `chalice new-project` needs.

    Its import asks the terminal what it can do, by control sequences on the screen, and waits.
    """
    name = "inquirer"
    spared = name not in sys.modules
    if spared:
        sys.modules[name] = types.ModuleType(name)
    try:
        yield
    finally:
        if spared:
            del sys.modules[name]


@contextmanager
def _importing_from(project_dir: Path) -> Iterator[None]:
    """Import `app` and `chalicelib` of this project, and leave it and the interpreter as they were:
    bytecode beside the sources would land in the package.
    """
    path, environ, quiet = sys.path.copy(), os.environ.copy(), sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    modules = {name: sys.modules.pop(name) for name in [*sys.modules] if _is_of_a_project(name)}
    sys.path.insert(0, str(project_dir))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        for name in [name for name in sys.modules if _is_of_a_project(name)]:
            del sys.modules[name]
        sys.modules.update(modules)
        sys.path[:], sys.dont_write_bytecode = path, quiet
        for name in {*os.environ} - {*environ}:
            del os.environ[name]
        os.environ.update(environ)


def _is_of_a_project(module: str) -> bool:
    return module.partition(".")[0] in ("app", "chalicelib")


def _resources(config: Any) -> Any:
    """Chalice's resource models: its own build steps without the one that runs pip."""
    from chalice.deploy.appgraph import ApplicationGraphBuilder, DependencyBuilder
    from chalice.deploy.deployer import (
        BaseDeployStep,
        BuildStage,
        InjectDefaults,
        PolicyGenerator,
        SwaggerBuilder,
    )
    from chalice.deploy.swagger import CFNSwaggerGenerator
    from chalice.package import ResourceBuilder
    from chalice.utils import OSUtils

    class NameTheCode(BaseDeployStep):  # type: ignore[misc]  # chalice ships no types
        def handle_deploymentpackage(self, _config: Any, resource: Any) -> None:
            resource.filename = CODE_LOCATION

    steps = [
        InjectDefaults(),
        NameTheCode(),
        PolicyGenerator(policy_gen=None, osutils=OSUtils()),  # policies are files, never guessed
        SwaggerBuilder(swagger_generator=CFNSwaggerGenerator()),
    ]
    builder = ResourceBuilder(ApplicationGraphBuilder(), DependencyBuilder(), BuildStage(steps))
    return builder.construct_resources(config, config.chalice_stage)


def _package_options() -> Any:
    from botocore.session import Session
    from chalice.awsclient import TypedAWSClient
    from chalice.package import PackageOptions

    session = Session()
    session.set_config_variable("region", REGION)
    return PackageOptions(TypedAWSClient(session))
