"""What IAM does on this laptop: each function has its own role's credentials, and a call that the
role's policies do not allow is refused as AWS refuses it.

Only identities that are functions are judged: whoever holds the account's own key may do all.
Resource policies are not evaluated; those of the template only refuse what does not come by TLS.
"""

from slimreel.local.iam.guard import Guard, Used

__all__ = ["Guard", "Used"]
