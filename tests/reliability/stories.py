"""What a stage lives through, so that every outside call is made in one story or another.

Each begins on a stage that has read Drive's log before and has its push channel.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable

from chalicelib import restoring, triggers
from chalicelib.adapters.airtable import AirtableRefused, AirtableUnavailable
from chalicelib.adapters.callbacks import CallbackFailed
from chalicelib.adapters.drive_errors import CallRefused, QuotaExceeded
from chalicelib.adapters.encoder import NotTaken
from chalicelib.domain.job import Status
from chalicelib.domain.job_list import Asked
from chalicelib.domain.mp4 import MovieMetadata, Read, Rewrite
from chalicelib.steps import publish, review, sync, write_back
from chalicelib.steps.aside import ATTEMPTS, PATIENCE
from chalicelib.steps.cancel import cancel
from chalicelib.steps.retry import retry
from chalicelib.steps.rows import ATTEMPTS as ROW_ATTEMPTS
from chalicelib.steps.submit import submit
from tests.examples import a_workflow
from tests.fakes import INBOX, aws_error
from tests.model.cloud import AtOnce
from tests.reliability.stage import Stage

Story = Callable[[Stage], None]


class Pool(AtOnce):
    def shutdown(self, **_: bool) -> None:
        """Nothing of it is still running."""


THROTTLED = "ThrottlingException"


def a_film(stage: Stage) -> None:
    """Dropped, told of, compressed, published, announced, watched."""
    stage.drop("good")
    stage.tell_of_changes()
    stage.settle()
    stage.open_link()


def a_long_film(stage: Stage) -> None:
    """Measuring it takes two invocations."""
    stage.drop("long")
    stage.tell_of_changes()
    stage.settle()


def no_film(stage: Stage) -> None:
    stage.drop("broken")
    stage.tell_of_changes()
    stage.settle()


def nobody_told_of_it(stage: Stage) -> None:
    stage.drop("good")
    stage.run_schedule("sweep")
    stage.settle()


def its_metadata_is_put_back(stage: Stage) -> None:
    """By writing one byte anew, which is enough for what it asks of S3."""

    def read_metadata(read: Read, size_bytes: int) -> MovieMetadata:
        assert read(0, size_bytes)
        return MovieMetadata()

    def rewrite_head(read: Read, size_bytes: int, metadata: MovieMetadata) -> Rewrite:
        return Rewrite(start=1, end=2, body=read(1, 1), metadata=metadata)

    stage.patch.setattr(restoring, "read_metadata", read_metadata)
    stage.patch.setattr(restoring, "rewrite_head", rewrite_head)
    a_film(stage)


def its_metadata_is_put_back_into_a_large_film(stage: Stage) -> None:
    """Too large for one put: a part is written, the others are copied inside S3."""
    parts = functools.partial(restoring.parts, part_min_bytes=1)
    stage.patch.setattr(restoring, "SINGLE_PUT_BYTES", 0)
    stage.patch.setattr(restoring, "parts", parts)
    stage.patch.setattr(restoring, "ThreadPoolExecutor", Pool)
    unavailable = aws_error("SlowDown", status=503)
    stage.world.storage.fail_next("copy_part", unavailable)  # once, so that it has to tidy up
    its_metadata_is_put_back(stage)


def the_encoder_fails_once(stage: Stage) -> None:
    stage.drop("fault")
    stage.tell_of_changes()
    stage.settle()


def the_copy_is_interrupted(stage: Stage) -> None:
    stage.world.storage.fail_next("upload_part", aws_error("SlowDown", status=503))
    stage.drop("good")
    stage.tell_of_changes()
    stage.settle()


def drives_allowance_is_used_up(stage: Stage) -> None:
    """For hours; the flow asks once an hour."""
    used_up = [QuotaExceeded("There is more tomorrow.", status=403) for _ in range(5)]
    stage.world.drive.fail_next("get", *used_up)
    stage.drop("good")
    stage.tell_of_changes()
    begun_s = stage.time_s
    stage.settle()
    assert stage.time_s - begun_s >= 4 * 3600


def the_copy_is_wrong(stage: Stage) -> None:
    """What S3 holds is not what Drive's checksum says."""
    file_id = stage.drop("good")
    right = stage.world.drive.contents[file_id]
    stage.world.drive.contents[file_id] = right[::-1]
    stage.tell_of_changes()
    stage.advance_to("fetch", calls="storage.delete")
    stage.world.drive.contents[file_id] = right
    stage.settle()


def the_file_is_withdrawn(stage: Stage) -> None:
    file_id = stage.drop("good")
    stage.tell_of_changes()
    stage.advance_to("drive_changed", calls="flows.start")
    stage.withdraw(file_id)
    stage.settle()


def the_encodes_end_is_not_heard(stage: Stage) -> None:
    stage.drop("good")
    stage.tell_of_changes()
    stage.go_on_until_encoding()
    stage.later("reconcile")  # while it waits
    stage.encode_unheard()
    stage.settle()


def the_encodes_id_was_not_written_down(stage: Stage) -> None:
    stage.drop("good")
    stage.tell_of_changes()
    stage.go_on_until_encoding()
    del stage.world.records.items[f"job#{stage.job().job_id}", "job"]["encoder_job_id"]
    stage.later("reconcile")
    stage.settle()


def mediaconvert_does_not_say_whether_it_took_the_job(stage: Stage) -> None:
    """Encode is entered again, and looks for it."""
    stage.encoder.fail_next("create_job", aws_error("InternalServerErrorException", status=500))
    a_film(stage)


def mediaconvert_turns_the_job_away(stage: Stage) -> None:
    stage.encoder.fail_next("create_job", *[NotTaken("MediaConvert is busy.")] * 2)
    a_film(stage)


def an_outcome_was_not_answered(stage: Stage) -> None:
    """Its handler died between storing it and answering the flow."""
    stage.drop("good")
    stage.tell_of_changes()
    stage.go_on_until_encoding()
    unavailable = [aws_error("ServiceUnavailable", status=503) for _ in range(3)]
    stage.flows.fail_next("succeed", *unavailable)
    stage.settle()


def a_failure_was_not_answered(stage: Stage) -> None:
    stage.drop("fault")
    stage.tell_of_changes()
    stage.go_on_until_encoding()
    unavailable = [aws_error("ServiceUnavailable", status=503) for _ in range(3)]
    stage.flows.fail_next("fail", *unavailable)
    stage.settle()


def an_encode_failed_unheard(stage: Stage) -> None:
    stage.drop("fault")
    stage.tell_of_changes()
    stage.go_on_until_encoding()
    stage.encode_unheard()
    stage.settle()


def its_execution_was_not_started(stage: Stage) -> None:
    """The reader of the log died after it had written the record, and took its hint along."""
    stage.drop("good")
    stage.flows.fail_next("start", aws_error(THROTTLED))
    stage.tell_of_changes()
    stage.attempt("sync", lambda: triggers.drive_changed({"Records": []}))
    stage.world.queues.hints.clear()
    stage.later("reconcile")
    stage.settle()


def its_execution_was_stopped(stage: Stage) -> None:
    stage.drop("good")
    stage.tell_of_changes()
    stage.go_on_until_encoding()
    stage.stop_execution()
    stage.settle()


def its_execution_was_stopped_unheard(stage: Stage) -> None:
    stage.drop("good")
    stage.tell_of_changes()
    stage.go_on_until_encoding()
    stage.stop_execution()
    stage.flows.events.clear()
    stage.later("reconcile")
    stage.settle()


def the_channel_nears_its_end(stage: Stage) -> None:
    stage.time_s += 6.5 * 86400
    stage.run_schedule("renew")
    stage.drop("good")
    stage.tell_of_changes()
    stage.settle()


def the_channel_is_silent(stage: Stage) -> None:
    for _ in range(2):
        stage.drop("good")
        stage.run_schedule("sweep")
        stage.settle()
    stage.drop("good")
    stage.tell_of_changes()
    stage.settle()


def the_channel_is_heard_again(stage: Stage) -> None:
    stage.drop("good")
    stage.run_schedule("sweep")
    stage.drop("good")
    stage.tell_of_changes()
    stage.settle()


def the_page_token_is_refused(stage: Stage) -> None:
    stage.drop("good")
    stage.world.drive.oldest_token = int(stage.world.drive.start_page_token())
    stage.tell_of_changes()
    stage.settle()


def the_page_token_is_refused_in_a_sweep(stage: Stage) -> None:
    stage.drop("good")
    stage.world.drive.oldest_token = int(stage.world.drive.start_page_token())
    stage.run_schedule("sweep")
    stage.settle()


def airtable_is_away(stage: Stage) -> None:
    down = [AirtableUnavailable("Airtable answered 503.", retry_after_s=10) for _ in range(7)]
    stage.world.airtable.fail_next("upsert", *down)
    a_film(stage)


def airtable_refuses(stage: Stage) -> None:
    said = [AirtableRefused("Airtable answered 422.", status=422) for _ in range(4)]
    stage.world.airtable.fail_next("upsert", *said)
    a_film(stage)


def a_row_cannot_be_made(stage: Stage) -> None:
    odd = [KeyError("Resolution") for _ in range(ROW_ATTEMPTS)]
    stage.world.airtable.fail_next("upsert", *odd)
    a_film(stage)


def a_message_makes_no_sense(stage: Stage) -> None:
    record = {"messageId": "1", "receiptHandle": "h", "body": "no JSON"}
    for _ in range(2):
        if stage.attempt("rows", lambda: triggers.rows_changed({"Records": [record]})):
            break
    a_film(stage)


def a_file_cannot_be_started(stage: Stage, by: str = "sync") -> None:
    refused = [aws_error("ValidationException") for _ in range(ATTEMPTS)]
    stage.world.records.fail_next("create", *refused)
    file_id = stage.drop("good")
    for _ in range(ATTEMPTS + 1):
        if by == "sync":
            stage.attempt("sync", lambda: triggers.drive_changed({"Records": []}))
        else:
            stage.run_schedule(by)
        stage.time_s += PATIENCE.total_seconds()
    stage.world.records.failures.clear()
    body = json.dumps({"file_id": file_id, "reason": "ValidationException"})
    records = [{"messageId": "1", "body": body}]
    stage.send_back(records)
    stage.settle()


def a_file_cannot_be_started_by_the_sweep(stage: Stage) -> None:
    a_file_cannot_be_started(stage, by="sweep")


def nobody_could_be_told(stage: Stage) -> None:
    """SNS and S3 refuse while the job is closed."""
    stage.world.topic.fail_next("publish", aws_error("InternalFailure", status=500))
    stage.world.storage.fail_next("delete_prefix", aws_error("SlowDown", status=503))
    a_film(stage)


def a_person_cancels(stage: Stage) -> None:
    stage.due = Status.CANCELLED
    stage.drop("good")
    stage.tell_of_changes()
    stage.go_on_until_encoding()
    job_id = stage.job().job_id
    stage.ask("cancel_job", lambda: cancel(stage.reach(), job_id, by="Anna"))
    stage.settle()


def a_person_cancels_and_nothing_answers(stage: Stage) -> None:
    """Whatever cancelling could not reach is left to reconcile."""
    stage.due = Status.CANCELLED
    stage.drop("good")
    stage.tell_of_changes()
    stage.go_on_until_encoding()
    job_id = stage.job().job_id
    stage.world.records.items[f"job#{job_id}", "job"].pop("encoder_job_id", None)
    stage.flows.fail_next("fail", aws_error(THROTTLED))
    stage.encoder.fail_next("cancel_job", aws_error(THROTTLED))
    stage.ask("cancel_job", lambda: cancel(stage.reach(), job_id, by="Anna"))
    stage.settle()


def a_person_tries_again(stage: Stage) -> None:
    stage.drop("good")
    stage.tell_of_changes()
    stage.go_on_until_encoding()
    stage.stop_execution()
    stage.settle()
    job_id = stage.job().job_id
    stage.ask("retry_job", lambda: retry(stage.reach(), job_id, by="Anna", after_run=1))
    stage.settle()


def a_person_submits(stage: Stage) -> None:
    file_id = stage.drop("good", told=False)
    stage.ask(
        "submit_job", lambda: submit(stage.reach(), file_id, by="Anna", workflow_name="compress")
    )
    stage.settle()


def somebody_submits_from_s3(stage: Stage) -> None:
    url = stage.put_into_s3("good")
    stage.ask("submit_job", lambda: submit(stage.reach(), url, by="n8n", workflow_name="compress"))
    stage.settle()


def a_large_film_comes_from_s3(stage: Stage) -> None:
    """Its copy takes two invocations."""
    stage.world.storage.copy_takes_invocations = 2
    somebody_submits_from_s3(stage)


def its_end_is_told(stage: Stage) -> None:
    """To the address that came with the submission."""
    url = stage.put_into_s3("good")
    _submit_with_callback(stage, url)
    stage.settle()


def its_failure_is_told(stage: Stage) -> None:
    _submit_with_callback(stage, stage.put_into_s3("broken"))
    stage.settle()


def its_end_is_told_to_one_who_was_away(stage: Stage) -> None:
    stage.world.callbacks.fail_next("post", *[CallbackFailed("It answered 503.")] * 2)
    _submit_with_callback(stage, stage.put_into_s3("good"))
    stage.settle()


def its_end_by_a_stop_is_told(stage: Stage) -> None:
    _submit_with_callback(stage, stage.drop("good", told=False))
    stage.go_on_until_encoding()
    stage.stop_execution()
    stage.settle()


def _submit_with_callback(stage: Stage, file_id: str) -> None:
    flow = {"workflow_name": "compress", "callback_url": "https://n8n.example/hook"}
    stage.ask("submit_job", lambda: submit(stage.reach(), file_id, by="n8n", **flow))


def a_person_looks(stage: Stage) -> None:
    a_film(stage)
    job, reach = stage.job(), stage.reach()
    catalogue = reach.catalogue
    stage.ask("list_jobs", lambda: catalogue.list_jobs(Asked(), limit=10))
    stage.ask("list_jobs", lambda: catalogue.search("film", Asked(), limit=10))
    stage.ask("get_job", lambda: reach.records.get(job.job_id))
    stage.ask("now", catalogue.under_way)
    stage.ask("money", lambda: catalogue.tallies("2026-01-01", "2026-12-31"))
    stage.ask("path", lambda: reach.flows.history(job.workflow, f"{job.job_id}-1"))


def the_desk_is_open(stage: Stage) -> None:
    """Airtable has its webhook."""
    stage.run_schedule("requeue")
    stage.go_on()


def people_approve(stage: Stage) -> None:
    """And the original is moved into the folder of done ones."""
    flows = {"compress": a_workflow(drive_folder=INBOX, done_folder="done-folder")}
    stage.patch.setattr(review, "all_workflows", lambda: flows)
    the_desk_is_open(stage)
    a_film(stage)
    stage.choose("Approve")
    stage.settle()


def people_want_it_smaller(stage: Stage) -> None:
    """Of a job that failed while its encode lived on."""
    the_desk_is_open(stage)
    stage.drop("good")
    stage.tell_of_changes()
    stage.go_on_until_encoding()
    stage.stop_execution()
    stage.settle()
    stage.choose("Redo smaller")
    stage.settle()


def airtables_webhook_nears_its_end(stage: Stage) -> None:
    the_desk_is_open(stage)
    stage.time_s += 3 * 86400
    stage.run_schedule("requeue")
    stage.go_on()
    a_film(stage)


def a_person_lists_a_folder(stage: Stage) -> None:
    a_film(stage)
    stage.ask("list_folder", lambda: stage.reach().drive.folder_page(INBOX))


def its_result_is_put_into_drive(stage: Stage) -> None:
    """Beside the original: Drive tells of it, and it must not be taken for another film."""
    flows = {"compress": a_workflow(drive_folder=INBOX, write_back_to="beside")}
    for module in (publish, sync, write_back):
        stage.patch.setattr(module, "all_workflows", lambda: flows)
    stage.patch.setattr(write_back, "PIECE_BYTES", 256)
    a_film(stage)
    stage.tell_of_changes()
    stage.settle()


def drive_takes_its_result_later(stage: Stage) -> None:
    """The folder is shared for looking only, and then somebody shares it for writing."""
    refused = CallRefused("Refused.", status=403, code="insufficientParentPermissions")
    stage.world.drive_writer.fail_next("begin_upload", refused)
    its_result_is_put_into_drive(stage)


def the_way_into_drive_breaks_off(stage: Stage) -> None:
    stage.world.drive_writer.cuts = [100]
    its_result_is_put_into_drive(stage)


def the_way_into_drive_breaks_off_later(stage: Stage) -> None:
    stage.world.drive_writer.cuts = [100]
    drive_takes_its_result_later(stage)


STORIES: dict[str, Story] = {
    story.__name__: story
    for story in (
        a_film,
        a_long_film,
        no_film,
        nobody_told_of_it,
        its_metadata_is_put_back,
        its_metadata_is_put_back_into_a_large_film,
        the_encoder_fails_once,
        the_copy_is_interrupted,
        drives_allowance_is_used_up,
        the_copy_is_wrong,
        the_file_is_withdrawn,
        the_encodes_end_is_not_heard,
        the_encodes_id_was_not_written_down,
        mediaconvert_does_not_say_whether_it_took_the_job,
        mediaconvert_turns_the_job_away,
        an_outcome_was_not_answered,
        a_failure_was_not_answered,
        an_encode_failed_unheard,
        its_execution_was_not_started,
        its_execution_was_stopped,
        its_execution_was_stopped_unheard,
        the_channel_nears_its_end,
        the_channel_is_silent,
        the_channel_is_heard_again,
        the_page_token_is_refused,
        the_page_token_is_refused_in_a_sweep,
        airtable_is_away,
        airtable_refuses,
        a_row_cannot_be_made,
        a_message_makes_no_sense,
        a_file_cannot_be_started,
        a_file_cannot_be_started_by_the_sweep,
        nobody_could_be_told,
        a_person_cancels,
        a_person_cancels_and_nothing_answers,
        a_person_tries_again,
        a_person_submits,
        somebody_submits_from_s3,
        a_large_film_comes_from_s3,
        its_end_is_told,
        its_failure_is_told,
        its_end_is_told_to_one_who_was_away,
        its_end_by_a_stop_is_told,
        a_person_looks,
        people_approve,
        people_want_it_smaller,
        airtables_webhook_nears_its_end,
        a_person_lists_a_folder,
        its_result_is_put_into_drive,
        drive_takes_its_result_later,
        the_way_into_drive_breaks_off,
        the_way_into_drive_breaks_off_later,
    )
}
