"""Every setting there is: what it is, what it may be, its value, and where that value came from.

Of a stage: the template's parameters. Precedence, first wins:

    --parameter of slimreel deploy  >  stages/<stage>.toml  >  as deployed last  >  the default

Of a workflow: `workflows/<name>.toml`, else the default of `chalicelib.domain.workflow.Workflow`.
How a result must look is a preset's matter: `chalicelib/data/presets.toml` explains each field.
A function gets a stage's settings as environment variables, typed by `chalicelib.config.Settings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        group: "stage", "workflow NAME", "secret" or "command".
        kind: what a value looks like: "text", "number", "list" …
        default: as text; empty for none.
        about: a sentence or two for a person.
        allowed: what restricts the value beyond its kind; empty for nothing.
    """

    group: str
    name: str
    kind: str
    default: str
    about: str
    allowed: str = ""


@dataclass(frozen=True, slots=True)
class Value:
    """A setting as it is in force.

    Attributes:
        source: where the value comes from, in words.
        pending: what it becomes with the next deployment; None where nothing waits.
    """

    setting: Setting
    value: str
    source: str
    pending: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "group": self.setting.group,
            "name": self.setting.name,
            "value": self.value,
            "source": self.source,
            "pending": self.pending,
            "about": self.setting.about,
        }


#: Read by the command alone; what a function reads is set by the template.
COMMAND = (
    Setting("command", "SLIMREEL_URL", "text", "", "Which Slimreel status, list, submit, cancel, "
            "retry and revoke ask: the API's address. Empty is the slimreel up on this machine."),
    Setting("command", "SLIMREEL_STAGES", "text", "", "The folder of <stage>.toml files. Empty is "
            "stages in the checkout."),
    Setting("command", "AIRTABLE_TOKEN", "text", "", "The token for slimreel airtable setup."),
    Setting("command", "AWS_PROFILE, AWS_REGION …", "text", "", "The usual ones of AWS: who you "
            "are, and where."),
    Setting("command", "AWS_ENDPOINT_URL", "text", "", "Where AWS's services answer, if not at "
            "AWS: a stand-in cloud."),
    Setting("command", "GOOGLE_APPLICATION_CREDENTIALS", "text", "", "The key file with which "
            "slimreel plan --folder reads Drive."),
)  # fmt: skip

#: Secrets live in SSM Parameter Store below /slimreel/<stage>/, as SecureStrings.
SECRETS = (
    Setting("secret", "google-credentials", "JSON", "", "The service account's key."),
    Setting("secret", "airtable-token", "text", "", "A personal access token for the base."),
    Setting("secret", "link-key", "text", "", "What signs links to results. A new one makes every "
            "link sent so far void."),
    Setting("secret", "callback-key", "text", "", "What signs calls to those who asked to be "
            "called back; needed only where somebody does. They check with it: docs/api.md."),
)  # fmt: skip

#: Of `Workflow`'s fields: the key in the file, kind, what restricts it, and about.
_WORKFLOW = (
    ("drive_folder", "start.drive_folder", "text", "an id, or ${NAME}: a setting of the stage",
     "The Drive folder whose videos start the flow."),
    ("preset", "policy.preset", "text", "a preset of chalicelib/data/presets.toml",
     "How a result must look, and how it is encoded."),
    ("compress_above_bytes", "policy.compress_above_bytes", "bytes", "",
     "Smaller files are published as they are."),
    ("min_savings_percent", "policy.min_savings_percent", "percent", "",
     "A result that saves less is not worth having; the original is published."),
    ("max_attempts", "policy.max_attempts", "number", "",
     "Encodes of one video: higher where a check failed, once lower where that pays."),
    ("max_output_bytes", "policy.max_output_bytes", "bytes", "",
     "No result is larger: a lower level, then a smaller picture makes it fit, or it is said "
     "before the film is encoded."),
    ("notify_kinds", "notify.kinds", "list", "started, completed, kept, failed, cancelled",
     "Which emails are sent."),
    ("digest_after", "notify.digest_after", "number", "",
     "More emails than so many within digest_minutes become one, with a table. Empty sends each."),
    ("digest_minutes", "notify.digest_minutes", "number", "",
     "How long an email waits for others, once there were that many."),
    ("weekly", "notify.weekly", "true or false", "",
     "Whether a summary is sent every Monday: saved, failed, to review."),
    ("done_folder", "review.done_folder", "text", "an id, or ${NAME}: a setting of the stage",
     "The Drive folder into which the original of an approved result is moved. Empty leaves it "
     "where it is."),
    ("write_back_to", "write_back.to", "text",
     "beside, an id, or ${NAME}: a setting of the stage",
     "Where in Google Drive results are put, too: beside each original, or in a folder. Empty "
     "leaves them in S3 only. docs/write-back.md"),
    ("write_back_suffix", "write_back.suffix", "text", "",
     "What a result there is called more than its original. Empty is “ (compressed)” beside the "
     "original and nothing in a folder."),
)  # fmt: skip


def stage_settings(parameters: Mapping[str, Mapping[str, Any]]) -> list[Setting]:
    """The template's parameters, `Stage` apart: that is what --stage says."""
    return [
        Setting(
            group="stage",
            name=name,
            kind={"Number": "number", "CommaDelimitedList": "list"}.get(about["Type"], "text"),
            default=str(about.get("Default", "")),
            about=str(about.get("Description", "")),
            allowed=_allowed(about),
        )
        for name, about in parameters.items()
        if name != "Stage"
    ]


def workflow_settings(workflow: str) -> list[Setting]:
    from dataclasses import MISSING, fields

    from chalicelib.domain.workflow import Workflow

    defaults = {one.name: one.default for one in fields(Workflow)}
    told = {field: (key, kind, allowed, about) for field, key, kind, allowed, about in _WORKFLOW}
    unsaid = defaults.keys() - told.keys() - {"name"}
    assert not unsaid, f"slimreel.settings must say what these fields of Workflow are: {unsaid}"
    return [
        Setting(
            group=f"workflow {workflow}",
            name=key,
            kind=kind,
            default="" if defaults[field] is MISSING else as_text(defaults[field]),
            about=about,
            allowed=allowed,
        )
        for field, (key, kind, allowed, about) in told.items()
    ]


def as_text(value: object) -> str:
    """A setting's value as it is shown."""
    if isinstance(value, list | tuple):
        return ",".join(str(item) for item in value)
    return "" if value is None else str(value)


def _allowed(about: Mapping[str, Any]) -> str:
    if "AllowedValues" in about:
        return ", ".join(str(value) for value in about["AllowedValues"])
    if "AllowedPattern" in about:
        return f"like {about['AllowedPattern']}"
    return f"{about['MinValue']} at least" if "MinValue" in about else ""
