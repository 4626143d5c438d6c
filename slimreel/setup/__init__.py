"""`slimreel setup`: a guide from an empty account to a running stage, which may be left any time.

What was answered is in `stages/<stage>.toml`, in the stage's secrets and in what is deployed; each
step looks first whether it is done, so running it again goes on where it stopped.
"""

from __future__ import annotations
