"""The MediaConvert stand-in as boto3 sees it."""

import http.client
import json
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import boto3
import imageio_ffmpeg
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ParamValidationError
from werkzeug import Request
from werkzeug.serving import WSGIRequestHandler, make_server

from slimreel.local.faults import Fault, Faults
from slimreel.local.mediaconvert import MediaConvert, model, validate

ROLE = "arn:aws:iam::123456789012:role/encoder"
FINAL = ("COMPLETE", "ERROR", "CANCELED")


class Folder:
    """Buckets are folders."""

    def __init__(self, root):
        self.root = root
        self.content_types = {}
        for bucket in ("in", "out"):
            (root / bucket).mkdir(parents=True)

    def object_path(self, bucket, key):
        path = self.root / bucket / key
        if not path.is_file():
            raise KeyError(key)
        return path

    def put_file(self, bucket, key, path, *, content_type):
        target = self.root / bucket / key
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, target)
        self.content_types[key] = content_type

    def has_bucket(self, bucket):
        return (self.root / bucket).is_dir()


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, code="-", size="-"):
        pass


class Cloud:
    """One stand-in behind a real port, and a boto3 client for it."""

    def __init__(self, root, **options):
        self.store = Folder(root / "s3")
        self.events = []
        self.faults = Faults()
        self.now = 0.0
        self.service = MediaConvert(
            store=self.store,
            emit=self.events.append,
            work_dir=root / "work",
            faults=self.faults,
            clock=lambda: time.time() + self.now,
            **options,
        )
        server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=Quiet)
        self.server, self.url = server, f"http://127.0.0.1:{server.port}"
        self.thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()
        self.client = boto3.client(
            "mediaconvert",
            endpoint_url=self.url,
            region_name="eu-west-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}),
        )

    def _answer(self, environ, start_response):
        return self.service.handle(Request(environ))(environ, start_response)

    def close(self):
        self.service.close()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        self.client.close()

    def add(self, clip, key):
        target = self.store.root / "in" / key
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, target)
        return f"s3://in/{key}"

    def create(self, url="s3://in/missing.mp4", h264=None, video=None, **request):
        settings = job_settings(url, h264 or {}, video or {}, request.pop("audio", 0))
        return self.client.create_job(Role=ROLE, Settings=settings, **request)["Job"]

    def wait(self, job_id, statuses=FINAL, within_s=30):
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            job = self.client.get_job(Id=job_id)["Job"]
            if job["Status"] in statuses:
                return job
            time.sleep(0.02)
        raise AssertionError(f"job is {job['Status']} after {within_s} s")

    def details(self, job_id):
        return [e["detail"] for e in self.events if e["detail"]["jobId"] == job_id]

    def event(self, job_id, status):
        until = time.monotonic() + 5
        while time.monotonic() < until:
            for detail in self.details(job_id):
                if detail["status"] == status:
                    return detail
            time.sleep(0.02)
        raise AssertionError(f"no {status} event")


def job_settings(url, h264, video, audio=0, destination="s3://out/made/film"):
    tracks = range(1, audio + 1)
    return {
        "TimecodeConfig": {"Source": "ZEROBASED"},
        "Inputs": [
            {
                "FileInput": url,
                "TimecodeSource": "ZEROBASED",
                "VideoSelector": {"Rotate": "AUTO"},
                "AudioSelectors": {f"Audio Selector {n}": {"Tracks": [n]} for n in tracks},
            }
        ],
        "OutputGroups": [
            {
                "OutputGroupSettings": {
                    "Type": "FILE_GROUP_SETTINGS",
                    "FileGroupSettings": {"Destination": destination},
                },
                "Outputs": [
                    {
                        "ContainerSettings": {"Container": "MP4"},
                        "VideoDescription": {
                            "CodecSettings": {
                                "Codec": "H_264",
                                "H264Settings": {
                                    "RateControlMode": "QVBR",
                                    "MaxBitrate": 2_000_000,
                                    "QvbrSettings": {"QvbrQualityLevel": 8},
                                    "QualityTuningLevel": "SINGLE_PASS",
                                    **h264,
                                },
                            },
                            **video,
                        },
                        "AudioDescriptions": [
                            {
                                "AudioSourceName": f"Audio Selector {n}",
                                "LanguageCodeControl": "FOLLOW_INPUT",
                                "CodecSettings": {
                                    "Codec": "AAC",
                                    "AacSettings": {
                                        "CodingMode": "CODING_MODE_2_0",
                                        "SampleRate": 48000,
                                        "Bitrate": 96_000,
                                    },
                                },
                            }
                            for n in tracks
                        ],
                    }
                ],
            }
        ],
    }


def ffmpeg(*argv):
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *argv], check=True)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=1"),
        *("-f", "lavfi", "-i", "sine=d=1", "-f", "lavfi", "-i", "sine=d=1:f=880"),
        *("-map", "0", "-map", "1", "-map", "2", "-c:v", "libx264", "-pix_fmt", "yuv420p"),
        *("-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=deu", str(path)),
    )
    return path


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory):
    """Long enough to be caught in the act: most of a minute of work for SINGLE_PASS_HQ."""
    path = tmp_path_factory.mktemp("clip") / "long.mp4"
    ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=1280x720:r=30:d=1", "-c:v", "libx264"),
        *("-preset", "ultrafast", "-pix_fmt", "yuv420p", str(path.with_suffix(".one.mp4"))),
    )
    ffmpeg("-stream_loop", "60", "-i", str(path.with_suffix(".one.mp4")), "-c", "copy", str(path))
    return path


@pytest.fixture
def cloud(tmp_path):
    running = Cloud(tmp_path)
    yield running
    running.close()


@contextmanager
def refused(status, code):
    with pytest.raises(ClientError) as caught:
        yield caught
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def message(caught):
    return caught.value.response["Error"]["Message"]


def assert_modelled(operation, answer):
    """What went over the wire has no member the vendor's model lacks."""
    shape = model.service_model().operation_model(operation).output_shape
    assert [str(v) for v in validate.check(shape, answer)] == []


# A job's life


def test_a_job_goes_from_submitted_to_complete(cloud, clip):
    url = cloud.add(clip, "jobs/1/source.mp4")
    metadata = {"job": "1", "attempt": "1"}
    job = cloud.create(url, {"PerFrameMetrics": ["SSIM"]}, audio=2, UserMetadata=metadata)
    assert job["Status"] == "SUBMITTED"
    assert job["Arn"] == f"arn:aws:mediaconvert:eu-west-1:123456789012:jobs/{job['Id']}"
    assert job["Queue"].endswith(":queues/Default")
    done = cloud.wait(job["Id"])
    assert done["Status"] == "COMPLETE"
    assert done["JobPercentComplete"] == 100
    assert done["UserMetadata"] == metadata
    assert done["Settings"] == job_settings(url, {"PerFrameMetrics": ["SSIM"]}, {}, 2)
    (output,) = done["OutputGroupDetails"][0]["OutputDetails"]
    assert output["VideoDetails"] == {"WidthInPx": 320, "HeightInPx": 180}
    assert output["DurationInMs"] == pytest.approx(1000, abs=45)
    assert cloud.store.content_types == {
        "made/film.mp4": "video/mp4",
        "made/film_SSIM.csv": "text/csv",
    }


def test_its_events_tell_the_same(cloud, clip):
    job = cloud.create(cloud.add(clip, "a.mp4"), audio=2, UserMetadata={"job": "1"})
    complete = cloud.event(job["Id"], "COMPLETE")
    assert [d["status"] for d in cloud.details(job["Id"])] == [
        "PROGRESSING", "INPUT_INFORMATION", "NEW_WARNING", "NEW_WARNING", "COMPLETE",
    ]  # fmt: skip
    (output,) = complete["outputGroupDetails"][0]["outputDetails"]
    assert output["outputFilePaths"] == ["s3://out/made/film.mp4"]
    video = output["videoDetails"]
    assert (video["widthInPx"], video["heightInPx"]) == (320, 180)
    assert 1 <= video["qvbrMinQuality"] <= video["qvbrAvgQuality"] <= video["qvbrMaxQuality"] <= 10
    assert video["averageBitrate"] > 10_000
    assert complete["userMetadata"] == {"job": "1"}
    assert complete["warnings"] == [{"code": 230001, "count": 1}, {"code": 230005, "count": 1}]
    (details,) = cloud.event(job["Id"], "INPUT_INFORMATION")["inputDetails"]
    assert [a["language"] for a in details["audio"]] == ["ENG", "DEU"]
    assert details["video"][0]["frameRate"] == 25


def test_answers_hold_nothing_the_model_does_not_know(cloud, clip):
    job = cloud.create(cloud.add(clip, "a.mp4"), audio=1)
    cloud.wait(job["Id"])
    for path, operation in (
        (f"jobs/{job['Id']}", "GetJob"),
        ("jobs", "ListJobs"),
        ("queues", "ListQueues"),
    ):
        with urllib.request.urlopen(f"{cloud.url}/2017-08-29/{path}") as answer:
            assert_modelled(operation, json.load(answer))


def test_progress_is_visible_while_it_encodes(cloud, long_clip):
    url = cloud.add(long_clip, "long.mp4")
    job = cloud.create(url, {"QualityTuningLevel": "MULTI_PASS_HQ"})
    seen = set()
    until = time.monotonic() + 15
    while time.monotonic() < until and len(seen) < 3:
        now = cloud.client.get_job(Id=job["Id"])["Job"]
        if now.get("CurrentPhase") == "TRANSCODING" and now["JobPercentComplete"] > 0:
            seen.add(now["JobPercentComplete"])
        time.sleep(0.05)
    assert len(seen) == 3
    cloud.now += 61  # the default status update interval
    update = cloud.event(job["Id"], "STATUS_UPDATE")
    assert update["jobProgress"]["currentPhase"] == "TRANSCODING"
    assert update["framesDecoded"] > 0


def test_a_running_job_can_be_cancelled(cloud, long_clip):
    job = cloud.create(cloud.add(long_clip, "long.mp4"), {"QualityTuningLevel": "MULTI_PASS_HQ"})
    cloud.wait(job["Id"], ("PROGRESSING",))
    assert cloud.client.cancel_job(Id=job["Id"])["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert cloud.wait(job["Id"])["Status"] == "CANCELED"
    assert cloud.event(job["Id"], "CANCELED")["jobId"] == job["Id"]
    assert not (cloud.store.root / "out/made").exists()
    with refused(409, "ConflictException"):
        cloud.client.cancel_job(Id=job["Id"])


def test_a_submitted_job_can_be_cancelled_and_sends_no_event(cloud, clip):
    cloud.client.create_queue(Name="later", Status="PAUSED")
    job = cloud.create(cloud.add(clip, "a.mp4"), Queue="later")
    cloud.client.cancel_job(Id=job["Id"])
    assert cloud.wait(job["Id"])["Status"] == "CANCELED"
    cloud.client.update_queue(Name="later", Status="ACTIVE")
    time.sleep(0.1)
    assert cloud.details(job["Id"]) == []


def test_a_paused_queue_holds_its_jobs(cloud, clip):
    cloud.client.create_queue(Name="later", Status="PAUSED")
    held = cloud.create(cloud.add(clip, "a.mp4"), Queue="later")
    other = cloud.create("s3://in/missing.mp4")
    cloud.wait(other["Id"])
    assert cloud.client.get_job(Id=held["Id"])["Job"]["Status"] == "SUBMITTED"
    assert cloud.client.get_queue(Name="later")["Queue"]["SubmittedJobsCount"] == 1
    cloud.client.update_queue(Name="later", Status="ACTIVE")
    assert cloud.wait(held["Id"])["Status"] == "COMPLETE"


def test_higher_priority_runs_first(cloud, clip):
    cloud.client.update_queue(Name="Default", Status="PAUSED")
    url = cloud.add(clip, "a.mp4")
    low, high = (cloud.create(url, Priority=p)["Id"] for p in (-5, 5))
    cloud.client.update_queue(Name="Default", Status="ACTIVE")
    cloud.wait(low)
    progressing = [e["detail"] for e in cloud.events if e["detail"]["status"] == "PROGRESSING"]
    assert [d["jobId"] for d in progressing] == [high, low]


def test_jobs_outlive_the_process(tmp_path, clip):
    first = Cloud(tmp_path / "one")
    url = first.add(clip, "a.mp4")
    done = first.create(url)["Id"]
    first.wait(done)
    first.client.update_queue(Name="Default", Status="PAUSED")
    waiting = first.create(url)["Id"]
    first.close()
    shutil.move(tmp_path / "one/work", tmp_path / "two/work")
    second = Cloud(tmp_path / "two")
    try:
        second.add(clip, "a.mp4")
        assert second.client.get_job(Id=done)["Job"]["Status"] == "COMPLETE"
        assert second.client.get_job(Id=waiting)["Job"]["Status"] == "SUBMITTED"
        assert second.service.resume() == 1
        assert second.wait(waiting)["Status"] == "COMPLETE"
    finally:
        second.close()


# Calls


def test_a_token_used_again_within_a_minute_gives_the_first_job(cloud):
    first = cloud.create(ClientRequestToken="same")
    assert cloud.create(ClientRequestToken="same")["Id"] == first["Id"]
    cloud.now += 61
    assert cloud.create(ClientRequestToken="same")["Id"] != first["Id"]


def test_jobs_are_listed_newest_first_in_pages(cloud):
    ids = [cloud.create(f"s3://in/{n}.mp4")["Id"] for n in range(5)]
    pages = cloud.client.get_paginator("list_jobs").paginate(PaginationConfig={"PageSize": 2})
    assert [job["Id"] for page in pages for job in page["Jobs"]] == ids[::-1]
    oldest = cloud.client.list_jobs(Order="ASCENDING", MaxResults=1)["Jobs"]
    assert [job["Id"] for job in oldest] == ids[:1]
    for job_id in ids:
        cloud.wait(job_id)
    assert len(cloud.client.list_jobs(Status="ERROR")["Jobs"]) == 5
    assert cloud.client.list_jobs(Status="COMPLETE")["Jobs"] == []
    assert len(cloud.client.list_jobs(Queue="Default")["Jobs"]) == 5


def test_jobs_are_found_by_part_of_their_input(cloud):
    wanted = cloud.create("s3://in/jobs/42/source.mov")["Id"]
    cloud.create("s3://in/jobs/43/source.mov")
    found = cloud.client.search_jobs(InputFile="jobs/42/")["Jobs"]
    assert [job["Id"] for job in found] == [wanted]


def test_queues_are_made_listed_and_deleted(cloud):
    queue = cloud.client.create_queue(Name="films", Tags={"team": "a"})["Queue"]
    assert queue["Arn"] == "arn:aws:mediaconvert:eu-west-1:123456789012:queues/films"
    assert (queue["Status"], queue["Type"], queue["PricingPlan"]) == (
        "ACTIVE", "CUSTOM", "ON_DEMAND",
    )  # fmt: skip
    assert [q["Name"] for q in cloud.client.list_queues()["Queues"]] == ["Default", "films"]
    tags = cloud.client.list_tags_for_resource(Arn=queue["Arn"])["ResourceTags"]["Tags"]
    assert tags == {"team": "a"}
    cloud.client.tag_resource(Arn=queue["Arn"], Tags={"more": "b"})
    cloud.client.untag_resource(Arn=queue["Arn"], TagKeys=["team"])
    tags = cloud.client.list_tags_for_resource(Arn=queue["Arn"])["ResourceTags"]["Tags"]
    assert tags == {"more": "b"}
    cloud.client.delete_queue(Name="films")
    with refused(404, "NotFoundException"):
        cloud.client.get_queue(Name="films")
    with refused(400, "BadRequestException"):
        cloud.client.delete_queue(Name="Default")


def test_probe_describes_a_file(cloud, clip):
    (result,) = cloud.client.probe(InputFiles=[{"FileUrl": cloud.add(clip, "a.mp4")}])[
        "ProbeResults"
    ]
    container = result["Container"]
    assert container["Format"] == "mp4"
    assert container["Duration"] == pytest.approx(1.0, abs=0.05)
    video, first, second = container["Tracks"]
    assert (video["Codec"], video["TrackType"], video["Index"]) == ("AVC", "video", 1)
    properties = video["VideoProperties"]
    assert (properties["Width"], properties["Height"], properties["BitDepth"]) == (320, 180, 8)
    assert properties["FrameRate"] == {"Numerator": 25, "Denominator": 1}
    assert properties["CodecMetadata"]["ScanType"] == "progressive"
    assert "Rotation" not in properties
    assert [t["AudioProperties"]["LanguageCode"] for t in (first, second)] == ["eng", "deu"]
    assert first["AudioProperties"]["Channels"] == 1
    assert first["Codec"] == "AAC"
    assert result["TrackMappings"] == [
        {"VideoTrackIndexes": [1], "AudioTrackIndexes": [2, 3], "DataTrackIndexes": []}
    ]
    assert result["Metadata"]["FileSize"] == clip.stat().st_size


def test_probe_tells_clockwise_rotation(cloud, clip, tmp_path):
    turned = tmp_path / "turned.mp4"
    # ffmpeg counts counter-clockwise: a phone held upright records 90 degrees clockwise.
    ffmpeg("-display_rotation", "-90", "-i", str(clip), "-c", "copy", str(turned))
    (result,) = cloud.client.probe(InputFiles=[{"FileUrl": cloud.add(turned, "a.mp4")}])[
        "ProbeResults"
    ]
    assert result["Container"]["Tracks"][0]["VideoProperties"]["Rotation"] == 90


def test_probe_tells_corrupt_from_not_media_from_missing(cloud, clip, tmp_path):
    text, cut = tmp_path / "text.mp4", tmp_path / "cut.mp4"
    text.write_text("This is no film at all, whatever its name says.")
    cut.write_bytes(clip.read_bytes()[:2000])  # moov comes last here, so it is gone
    for file, status, code in (
        (cloud.add(cut, "cut.mp4"), 422, "UnprocessableEntityException"),
        (cloud.add(text, "text.mp4"), 400, "BadRequestException"),
        ("s3://in/none.mp4", 404, "NotFoundException"),
    ):
        with refused(status, code):
            cloud.client.probe(InputFiles=[{"FileUrl": file}])


# Refusals


def test_a_missing_job_is_a_404_with_its_own_exception(cloud):
    with pytest.raises(cloud.client.exceptions.NotFoundException):
        cloud.client.get_job(Id="1750386695939-n1tblm")


@pytest.mark.parametrize(
    ("h264", "video", "text"),
    [
        ({}, {"Width": 9000}, "/width: Should be less than or equal to 8192"),
        ({"MinIInterval": 31}, {}, "/minIInterval: Should be less than or equal to 30"),
        ({"QualityTuningLevel": "BEST"}, {}, "Should be equal to one of the allowed values in ["),
        ({"Bitrate": 5_000_000}, {}, "incompatible: Rate control mode, Bitrate, and Max bitrate"),
        ({"QvbrSettings": {"QvbrQualityLevel": 11}}, {}, "Should be less than or equal to 10"),
    ],
)
def test_bad_settings_are_refused_at_submit(cloud, h264, video, text):
    with refused(400, "BadRequestException") as caught:
        cloud.create(h264=h264, video=video)
    assert message(caught).startswith("/outputGroups/0/outputs/0/videoDescription")
    assert text in message(caught)
    assert cloud.client.list_jobs()["Jobs"] == []


def test_boto3_itself_refuses_unknown_members(cloud):
    with pytest.raises(ParamValidationError):
        cloud.create(video={"Colour": "red"})


def test_several_faults_are_joined(cloud):
    with refused(400, "BadRequestException") as caught:
        cloud.create(h264={"MinIInterval": 31}, video={"Width": 9000})
    assert message(caught).count(" | ") == 1


def post(cloud, path, body):
    request = urllib.request.Request(f"{cloud.url}/2017-08-29/{path}", data=body, method="POST")
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer), answer.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error), error.headers


def test_a_body_that_is_no_json(cloud):
    status, body, headers = post(cloud, "jobs", b"{")
    assert (status, body) == (400, {"message": "The request could not be interpreted."})
    assert headers["x-amzn-ErrorType"] == "BadRequestException"


def test_members_the_model_lacks_are_refused(cloud):
    status, body, _ = post(cloud, "jobs", b'{"role": "r", "settings": {"outputs": []}}')
    assert status == 400
    assert "/outputs: Should not have additional properties" in body["message"]


def test_what_is_not_done_is_a_loud_501(cloud, caplog):
    with refused(501, "NotImplementedException") as caught:
        cloud.create(video={"ScalingBehavior": "SMART_CROP"})
    assert "scalingBehavior: SMART_CROP" in message(caught)
    with refused(501, "NotImplementedException"):
        cloud.client.list_presets()
    assert "ListPresets is not done here" in caplog.text


def test_an_unknown_queue_is_not_found(cloud):
    with refused(404, "NotFoundException"):
        cloud.create(Queue="nowhere")


def test_max_results_has_a_ceiling(cloud):
    with refused(400, "BadRequestException"):
        cloud.client.list_jobs(MaxResults=21)


# Jobs that fail


def failed(cloud, job):
    done = cloud.wait(job["Id"])
    assert done["Status"] == "ERROR"
    event = cloud.event(job["Id"], "ERROR")
    assert (event["errorCode"], event["errorMessage"]) == (
        done["ErrorCode"], done["ErrorMessage"],
    )  # fmt: skip
    return done["ErrorCode"], done["ErrorMessage"]


def test_a_missing_input_fails_the_job(cloud):
    code, text = failed(cloud, cloud.create("s3://in/none.mp4"))
    assert code == 1404
    assert text == (
        "Unable to open input file [s3://in/none.mp4]: "
        "[Can't read input stream: [Failed to read data: HeadObject failed]]"
    )


def test_a_missing_bucket_fails_the_job(cloud, clip):
    shutil.rmtree(cloud.store.root / "out")
    assert failed(cloud, cloud.create(cloud.add(clip, "a.mp4")))[0] == 1404


def test_an_odd_size_fails_the_job(cloud, clip):
    job = cloud.create(cloud.add(clip, "a.mp4"), video={"Width": 321, "Height": 180})
    assert failed(cloud, job) == (
        1040,
        "Invalid resolution [321 x 180], only even values are supported. video_description [1]",
    )


def test_an_absent_audio_track_fails_the_job(cloud, clip):
    code, text = failed(cloud, cloud.create(cloud.add(clip, "a.mp4"), audio=3))
    assert (code, text) == (1040, "Audio track [3] not found in input container.")


def test_two_outputs_with_one_path_fail_the_job(cloud, clip):
    settings = job_settings(cloud.add(clip, "a.mp4"), {}, {})
    settings["OutputGroups"] *= 2
    job = cloud.client.create_job(Role=ROLE, Settings=settings)["Job"]
    code, text = failed(cloud, job)
    assert code == 1040
    assert text == "Duplicate output paths [s3://out/made/film.mp4] found in input job."


@pytest.mark.parametrize(
    ("role", "code"),
    [("encoder", 1515), ("arn:aws:iam::999999999999:role/encoder", 1433)],
)
def test_a_bad_role_fails_the_job(cloud, role, code):
    settings = job_settings("s3://in/a.mp4", {}, {})
    assert failed(cloud, cloud.client.create_job(Role=role, Settings=settings)["Job"])[0] == code


def test_files_that_are_no_video_fail_with_their_codes(cloud, clip, tmp_path):
    whole = clip.read_bytes()
    for name, content, code in (
        ("empty.mp4", b"", 1010),
        ("text.mp4", b"This is no film at all.", 1010),
        ("no-moov.mp4", whole[:2000], 1075),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        assert failed(cloud, cloud.create(cloud.add(path, name)))[0] == code, name


# Faults


def test_a_throttled_call(cloud):
    cloud.faults.add(
        Fault(
            service="mediaconvert",
            operation="CreateJob",
            status=429,
            code="TooManyRequestsException",
        )
    )
    with pytest.raises(cloud.client.exceptions.TooManyRequestsException):
        cloud.create()
    assert cloud.client.list_jobs()["Jobs"] == []
    assert cloud.create()["Status"] == "SUBMITTED"


def test_a_reply_that_got_lost(cloud):
    cloud.faults.add(
        Fault(service="mediaconvert", operation="CreateJob", status=500, after_effect=True)
    )
    with refused(500, "InternalServerError"):
        cloud.create()
    assert len(cloud.client.list_jobs()["Jobs"]) == 1


def test_a_reply_cut_short(cloud):
    cloud.faults.add(Fault(service="mediaconvert", operation="ListJobs", cut_body_at_byte=5))
    with (
        pytest.raises(http.client.IncompleteRead),
        urllib.request.urlopen(f"{cloud.url}/2017-08-29/jobs") as answer,
    ):
        answer.read()


def test_a_job_that_fails_on_request(cloud, clip):
    fault = Fault(service="mediaconvert", operation="RunJob", code="1432", message="No rights.")
    cloud.faults.add(fault)
    assert failed(cloud, cloud.create(cloud.add(clip, "a.mp4"))) == (1432, "No rights.")
