"""Google's clients, set up for us: credentials, connections lent out, errors translated.

Everything of Google is imported when first needed: every Lambda function loads this module,
and few of them talk to Drive.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from chalicelib.adapters.drive_errors import CallRefused, DriveUnavailable, classify

#: Reading files and the change log.
READING = ("https://www.googleapis.com/auth/drive.readonly",)
#: Also moving files and adding new ones: for workflows whose settings ask for that, and only then.
WRITING = ("https://www.googleapis.com/auth/drive",)
_GOOGLE_TOKEN_URI = "https://oauth2.googleapis.com/token"


class GoogleClients:
    """Google's clients for one Drive.

    httplib2 and requests connections may serve one thread at a time, so they are lent out and
    given back. A warm Lambda function starts new threads for every copy; connections that
    belonged to threads would pile up in it.
    """

    def __init__(
        self,
        credentials_json: str,
        api_url: str,
        timeout_s: float,
        scopes: Sequence[str] = READING,
    ) -> None:
        """Args:
        api_url: "https://www.googleapis.com/"; all calls go below it and nowhere else.
        timeout_s: how long to wait for a connection, and for each next byte.
        """
        self.base_url = api_url.rstrip("/") + "/drive/v3/"
        self.upload_url = api_url.rstrip("/") + "/upload/drive/v3/"
        self._root_url = api_url.rstrip("/") + "/"
        self._credentials_json = credentials_json
        self.timeout_s = timeout_s
        self._scopes = scopes
        self._lock = threading.Lock()
        self._shared: tuple[Any, Any] | None = None
        self._sessions = _Lender(self._new_session)
        self._https = _Lender(self._new_http)

    def close(self) -> None:
        """Close the connections that nobody has borrowed."""
        self._sessions.close()
        self._https.close()

    def execute(self, request: Callable[[Any], Any]) -> Any:
        """Build a request on the Drive service, send it once and return the answer.

        Raises:
            DriveError: Drive refused or could not be reached.
        """
        with translated():
            service, _ = self._service_and_credentials()
            with self._https.lent() as http:
                return request(service).execute(http=http, num_retries=0)

    def session(self) -> AbstractContextManager[Any]:
        """Lend an `AuthorizedSession`, for bytes, until the block ends."""
        return self._sessions.lent()

    def _new_session(self) -> Any:
        from google.auth.transport.requests import AuthorizedSession

        _, credentials = self._service_and_credentials()
        return AuthorizedSession(credentials, refresh_timeout=self.timeout_s)

    def _new_http(self) -> Any:
        from google_auth_httplib2 import AuthorizedHttp

        _, credentials = self._service_and_credentials()
        return AuthorizedHttp(credentials, http=_plain_http(self.timeout_s))

    def _service_and_credentials(self) -> tuple[Any, Any]:
        with self._lock:
            if self._shared is None:
                credentials = make_credentials(json.loads(self._credentials_json), self._scopes)
                self._shared = (self._make_service(), credentials)
            return self._shared

    def _make_service(self) -> Any:
        from googleapiclient.discovery import build_from_document
        from googleapiclient.discovery_cache import get_static_doc

        document = json.loads(get_static_doc("drive", "v3"))
        # client_options.api_endpoint would leave uploads and batches on Google's own host.
        document |= {"rootUrl": self._root_url, "baseUrl": self.base_url}
        document.pop("mtlsRootUrl", None)
        return build_from_document(document, http=_plain_http(self.timeout_s))


class _Lender:
    """Connections, each lent to one borrower at a time; made when none is idle."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._idle: list[Any] = []  # its append and pop are atomic

    @contextmanager
    def lent(self) -> Iterator[Any]:
        try:
            one = self._idle.pop()
        except IndexError:
            with translated():
                one = self._make()
        try:
            yield one
        finally:
            self._idle.append(one)

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()


def make_credentials(info: dict[str, Any], scopes: Sequence[str] = READING) -> Any:
    """Return credentials for a key file (`service_account`) or a stored user's.

    A service account's credentials, used as they are, also ask iamcredentials.googleapis.com in
    the background for a "regional access boundary". Drive has no use for one, a Lambda function
    without a way out would wait for it, and a laptop must not call anyone. So they only fetch
    the tokens here, through google-auth's `refresh_handler`, and plain OAuth credentials, which
    do not ask, carry them.

    Raises:
        CallRefused: not a kind of credentials we can use.
    """
    from google.oauth2.credentials import Credentials
    from google.oauth2.service_account import Credentials as ServiceAccount

    match info.get("type"):
        case "service_account":
            account = ServiceAccount.from_service_account_info(info, scopes=list(scopes))

            def fetch_token(request: Any, **_: Any) -> tuple[str, Any]:
                account.refresh(request)
                return account.token, account.expiry

            return Credentials(token=None, refresh_handler=fetch_token, scopes=list(scopes))
        case "authorized_user":
            return Credentials(
                token=None,
                refresh_token=info["refresh_token"],
                client_id=info["client_id"],
                client_secret=info["client_secret"],
                token_uri=info.get("token_uri", _GOOGLE_TOKEN_URI),
                scopes=list(scopes),
            )
        case other:
            raise CallRefused(f"The Google credentials are of an unknown type: {other!r}.")


@contextmanager
def translated() -> Iterator[None]:
    """Turn what Google's clients raise into our own errors.

    Raises:
        DriveError: see there.
    """
    import http.client

    from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError
    from googleapiclient.errors import HttpError
    from httplib2 import HttpLib2Error

    try:
        yield
    except HttpError as error:
        raise from_answer(error.resp.status, error.content) from error
    except TransportError as error:
        raise DriveUnavailable(f"Google could not be reached: {error}") from error
    except RefreshError as error:
        if error.retryable:
            raise DriveUnavailable(f"Google did not issue a token: {error}") from error
        raise CallRefused(f"Google does not accept our credentials: {error}") from error
    except GoogleAuthError as error:
        raise CallRefused(f"Google does not accept our credentials: {error}") from error
    # requests' errors are OSErrors, and so are time-outs, resets and failed look-ups.
    except (OSError, HttpLib2Error, http.client.HTTPException) as error:
        raise DriveUnavailable(f"Google Drive could not be reached: {error}") from error


def from_answer(status: int, content: bytes) -> Exception:
    """Return the exception for an error answer, whose JSON may be missing or broken."""
    code = message = ""
    try:
        error = json.loads(content)["error"]
        message = str(error.get("message", ""))
        code = str(error["errors"][0]["reason"])
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        message = message or content[:200].decode(errors="replace")
    return classify(status, code, message)


def _plain_http(timeout_s: float) -> Any:
    from googleapiclient.http import build_http

    http = build_http()  # a bare httplib2.Http would follow the 308 of resumable uploads
    http.timeout = timeout_s
    return http
