"""The crash matrix: the whole local stack, killed at every boundary while jobs pass through it.

    python -m bench.crash --seed 1

A seeded adversary drops, replaces, renames and bins files in Drive, breaks calls, loses, doubles
and delays events, and kills the stack (SIGKILL to its process group) at chosen calls. After the
last restart everything is left in peace until nothing moves; then an outsider looks at Drive, S3,
Airtable, the mailbox, Step Functions and MediaConvert and compares them with what was dropped.
"""
