"""What can go wrong with a job, by what the caller should do about it.

SlimreelError
├── Temporary      try the same thing again later; the flow retries it for some minutes
├── Exhausted      a day's allowance is used up; the flow tries again every hour
├── Rejected       this video cannot be processed; a person has to act; never retried
├── EncoderFault   the encoder failed by its own fault; a new attempt may succeed
└── JobClosed      the job has already ended, or a newer run owns it; stop quietly

Step Functions sees the class name as the error name, so flows can match on it.
The message of each is one sentence for a person: it is what the row and the email show.
"""


class SlimreelError(Exception):
    """Root of the tree. The message is written for the person who dropped the video."""


class Temporary(SlimreelError):
    """A service was slow, throttled us or broke; nothing is wrong with the video."""


class Exhausted(SlimreelError):
    """A service gives us no more today; nothing is wrong with the video."""


class Rejected(SlimreelError):
    """The video cannot be processed as it is, and trying again would not help."""


class EncoderFault(SlimreelError):
    """MediaConvert gave up for a reason of its own; a new attempt may succeed."""


class JobClosed(SlimreelError):
    """The job has ended or a newer run owns it, so this execution must not touch it."""


def as_flow_sees_it(error: SlimreelError) -> SlimreelError:
    """The same message as one of the kinds above, which are the names flows match on.

    An error of no kind is one that trying again would not cure.
    """
    for kind in (Temporary, Exhausted, EncoderFault, JobClosed, Rejected):
        if isinstance(error, kind):
            return kind(str(error))
    return Rejected(str(error))
