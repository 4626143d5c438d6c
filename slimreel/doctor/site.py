"""A stage as its doctor sees it: account, stack, settings, secrets, and the services behind."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slimreel.deploying import stack_name
from slimreel.deploying.account import Account
from slimreel.deploying.parameters import outputs_of, values_of
from slimreel.deploying.stacks import described

if TYPE_CHECKING:
    from chalicelib.adapters.catalogue import Catalogue
    from chalicelib.adapters.drive import Drive
    from chalicelib.adapters.records import Records

GOOGLE_KEY, AIRTABLE_TOKEN, LINK_KEY = "google-credentials", "airtable-token", "link-key"
CALLBACK_KEY = "callback-key"
#: Where Google and Airtable are, unless a parameter says otherwise.
_ADDRESSES = {
    "DriveApiUrl": "https://www.googleapis.com/",
    "AirtableApiUrl": "https://api.airtable.com",
    "AirtableTable": "Videos",
}


@dataclass
class Site:
    """Everything is looked up when first needed, and then kept; `forget` looks anew.

    Attributes:
        wanted: settings that are not deployed yet, before those of the stack.
    """

    account: Account
    stage: str
    project_dir: Path
    wanted: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def stack(self) -> dict[str, Any] | None:
        return described(self.account.client("cloudformation"), stack_name(self.stage))

    @property
    def outputs(self) -> dict[str, str]:
        return outputs_of(self.stack or {})

    def setting(self, name: str) -> str:
        """A parameter of the stage: wanted, deployed, or by default."""
        values = {**_ADDRESSES, **self.account.parameters, **values_of(self.stack or {})}
        return str({**values, **self.wanted}.get(name, ""))

    @property
    def results(self) -> dict[str, str]:
        """Where each workflow puts its results in Drive: a folder's id, or `BESIDE`; by workflow,
        without those that put none there.
        """
        found = {}
        for file in sorted((self.project_dir / "workflows").glob("*.toml")):
            settings = tomllib.loads(file.read_text(encoding="utf-8"))
            named = str(settings.get("write_back", {}).get("to", ""))
            to = self.setting(_camel(named)) if named.startswith("${") else named
            if to:
                found[file.stem] = to
        return found

    @property
    def folders(self) -> dict[str, str]:
        """The parameter that names each workflow's folder, by workflow; fixed folders as `=id`."""
        found = {}
        for file in sorted((self.project_dir / "workflows").glob("*.toml")):
            named = tomllib.loads(file.read_text(encoding="utf-8"))["start"]["drive_folder"]
            found[file.stem] = _camel(named) if named.startswith("${") else f"={named}"
        return found

    def secret(self, name: str) -> str | None:
        """A secret's value; None where it was never stored."""
        ssm = self.account.client("ssm")
        try:
            answer = ssm.get_parameter(Name=self.secret_path(name), WithDecryption=True)
        except ssm.exceptions.ParameterNotFound:
            return None
        return str(answer["Parameter"]["Value"])

    def store_secret(self, name: str, value: str) -> None:
        self.account.client("ssm").put_parameter(
            Name=self.secret_path(name), Value=value, Type="SecureString", Overwrite=True
        )
        self.forget()

    def secret_path(self, name: str) -> str:
        return f"/slimreel/{self.stage}/{name}"

    @cached_property
    def google_key(self) -> str | None:
        return self.secret(GOOGLE_KEY)

    @cached_property
    def airtable_token(self) -> str | None:
        return self.secret(AIRTABLE_TOKEN)

    @property
    def robot(self) -> str:
        """The service account's address, which folders are shared with; empty without a key."""
        try:
            return str(json.loads(self.google_key or "{}").get("client_email", ""))
        except ValueError:
            return ""

    @cached_property
    def drive(self) -> Drive:
        from chalicelib.adapters.drive import Drive
        from chalicelib.adapters.drive_retry import Retry

        return Drive(
            credentials_json=self.google_key or "",
            api_url=self.setting("DriveApiUrl"),
            timeout_s=20,
            retry=Retry(attempts=2),
        )

    @cached_property
    def records(self) -> Records:
        from chalicelib.adapters.records import Records

        return Records(self._table)

    @cached_property
    def catalogue(self) -> Catalogue:
        from chalicelib.adapters.catalogue import Catalogue

        return Catalogue(self._table)

    @cached_property
    def _table(self) -> Any:
        resource = self.account.session.resource("dynamodb", endpoint_url=self.account.endpoint_url)
        self._opened.append(resource.meta.client)
        return resource.Table(self.outputs["JobsTableName"])

    @cached_property
    def _opened(self) -> list[Any]:
        return []

    def forget(self) -> None:
        """Look at everything anew from now on."""
        for thing in (self.__dict__.get("drive"), *self.__dict__.get("_opened", ())):
            if thing is not None:
                thing.close()
        made = ("drive", "records", "catalogue", "_table", "_opened")
        for name in ("stack", "google_key", "airtable_token", *made):
            self.__dict__.pop(name, None)

    def close(self) -> None:
        self.forget()
        self.account.close()


def _camel(named: str) -> str:
    """`${DRIVE_INBOX_FOLDER}` of a workflow's settings is the parameter `DriveInboxFolder`."""
    variable = named.removeprefix("${").removesuffix("}")
    return "".join(word.capitalize() for word in variable.split("_"))
