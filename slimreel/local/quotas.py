"""Service Quotas: the few that Slimreel's doctor asks for, as an account has them by default.

Source: https://docs.aws.amazon.com/general/latest/gr/mediaconvert.html. The names are those of
that page; the codes are invented, for none is published there.
"""

from __future__ import annotations

import json

from werkzeug.wrappers import Request, Response

from slimreel.local.aws_errors import json_error
from slimreel.local.stack.kinds import arn

_QUOTAS = {
    "mediaconvert": (
        ("L-STANDIN1", "Concurrent jobs per on-demand queue, baseline", 500.0),
        ("L-STANDIN2", "Queues (on-demand) per Region, per account", 10.0),
    )
}


def handle(request: Request) -> Response:
    operation = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
    if operation != "ListServiceQuotas":
        return json_error(501, "NotImplemented", f"The stand-in does not do {operation}.")
    service = json.loads(request.get_data() or b"{}").get("ServiceCode", "")
    if service not in _QUOTAS:
        return json_error(404, "NoSuchResourceException", f"There is no service {service} here.")
    quotas = [
        {
            "ServiceCode": service,
            "QuotaCode": code,
            "QuotaName": name,
            "QuotaArn": arn("servicequotas", f"{service}/{code}"),
            "Value": value,
            "Adjustable": True,
            "GlobalQuota": False,
        }
        for code, name, value in _QUOTAS[service]
    ]
    return Response(json.dumps({"Quotas": quotas}), mimetype="application/x-amz-json-1.1")
