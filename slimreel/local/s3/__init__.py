"""Amazon S3 on one disk: the REST API as AWS documents it, with object bytes in files.

Objects never pass through memory whole: bodies are read in blocks into a file beside the others,
completing a multipart upload joins files inside the kernel, and a copy is a hard link. The
index is one SQLite file in WAL mode. Both survive SIGKILL; half-written files are swept away at
the next start.

What it does not do: versioning, object lock, ACLs, event notifications, SSE-C, S3 Select and
every other call not in `service.OPERATIONS` answer 501 `NotImplemented`, and log. Policies and
public access blocks are kept, not enforced; who may call is only checked by signature.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
"""

from slimreel.local.s3.lifecycle import Expired
from slimreel.local.s3.service import S3

__all__ = ["S3", "Expired"]
