"""QVBR table, metric files, events, boxes: the parts without input or output."""

import struct
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest

from slimreel.local.mediaconvert import (
    boxes,
    codecs,
    events,
    metrics,
    model,
    probe,
    qvbr,
    validate,
)
from slimreel.local.mediaconvert.job import Job, new_id
from slimreel.local.mediaconvert.source import Source, Video, _chroma

THIRDS = [level + third / 3 for level in range(1, 11) for third in range(3)] + [11.0]


@pytest.mark.parametrize("crf", [qvbr.x264_crf, qvbr.x265_crf])
def test_a_higher_level_is_always_a_lower_rate_factor(crf):
    factors = [crf(level) for level in THIRDS]
    assert all(later < earlier for earlier, later in pairwise(factors))


def test_av1_factors_never_rise_and_stay_in_range():
    factors = [qvbr.svtav1_crf(level) for level in THIRDS]
    assert factors == sorted(factors, reverse=True)
    assert 0 < factors[-1] < factors[0] == 63


def test_fine_tuning_is_rounded_to_thirds():
    assert qvbr.level_of(7, 0.4) == pytest.approx(7 + 1 / 3)
    assert qvbr.level_of(None, None) == qvbr.AUTO_LEVEL


@pytest.mark.parametrize(("quantizer", "score"), [(21.5, 8.0), (15.0, 8.0), (26.5, 6.0), (60, 1.0)])
def test_scores_fall_with_a_coarser_quantizer(quantizer, score):
    assert qvbr.score_of(quantizer, crf=21.5, level=8.0) == pytest.approx(score)


def test_metric_files_have_rows_then_three_lines():
    assert metrics.as_csv("PSNR", [40.0, 100.0]) == (
        "Display_ID,Value\n0,40.00\n1,100.00\nAverage: 70.00\nMin: 40.00\nMax: 100.00\n"
    )


ABOUT = events.About(
    region="eu-west-1",
    account_id="123456789012",
    job_arn="arn:aws:mediaconvert:eu-west-1:123456789012:jobs/1-a",
    job_id="1-a",
    queue_arn="arn:aws:mediaconvert:eu-west-1:123456789012:queues/Default",
    user_metadata={"job": "7"},
)


def test_events_carry_seconds_outside_and_milliseconds_inside():
    event = events.envelope(ABOUT, "CANCELED", 1671476832.124, {})
    assert event["time"] == "2022-12-19T19:07:12Z"
    assert event["detail"]["timestamp"] == 1671476832124
    assert event["detail-type"] == "MediaConvert Job State Change"
    assert event["resources"] == [ABOUT.job_arn]
    assert event["detail"]["userMetadata"] == {"job": "7"}


def test_status_updates_say_where_each_phase_is():
    extra = events.status_update(
        frames=48, percent=60, phase_percent=61, phase="TRANSCODING", retry_count=0
    )
    assert extra["jobProgress"]["phaseProgress"] == {
        "PROBING": {"status": "COMPLETE", "percentComplete": 100},
        "TRANSCODING": {"status": "PROGRESSING", "percentComplete": 61},
        "UPLOADING": {"status": "PENDING", "percentComplete": 0},
    }


def box(name, body):
    return struct.pack(">I4s", 8 + len(body), name) + body


def movie(entry):
    stsd = box(b"stsd", b"\0" * 8 + box(entry, b"\0" * 78))
    for name in (b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        stsd = box(name, stsd)
    return stsd


@pytest.mark.parametrize(("entry", "found"), [(b"encv", "encv"), (b"avc1", "avc1")])
def test_sample_entries_tell_encryption(tmp_path, entry, found):
    path = tmp_path / "a.mp4"
    path.write_bytes(box(b"ftyp", b"isom") + movie(entry))
    assert boxes.scan(path) == boxes.Layout(
        is_mp4=True, has_moov=True, cut_short=False, sample_entries=frozenset({found})
    )


def test_a_cut_file_is_noticed(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(box(b"ftyp", b"isom") + movie(b"avc1") + box(b"mdat", b"x" * 99)[:-9])
    assert boxes.scan(path).cut_short


def test_text_is_no_mp4(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_text("hello, this is text and no film")
    assert not boxes.scan(path).is_mp4


@pytest.mark.parametrize(
    ("container", "codec", "read"),
    [
        ("mp4", "vp9", True),
        ("matroska", "vp9", False),
        ("matroska", "hevc", False),
        ("matroska", "h264", True),
        ("webm", "vp8", True),
        ("quicktime", "prores", True),
        ("mp4", "vvc", False),
        ("mxf", "dnxhd", True),
        ("quicktime", "dnxhd", False),
    ],
)
def test_codecs_are_read_from_the_documented_containers_only(container, codec, read):
    assert codecs.reads_video(container, codec) is read


def test_job_ids_have_the_service_s_form():
    assert new_id(1750386695.939).startswith("1750386695939-")
    assert len(new_id(1750386695.939)) == 20


def test_requests_find_their_operation():
    arn = "arn:aws:mediaconvert:eu-west-1:123456789012:queues/Default"
    found = model.match("GET", f"/2017-08-29/tags/{arn}")
    assert (found.operation, found.uri) == ("ListTagsForResource", {"arn": arn})
    assert model.match("POST", "/2017-08-29/jobs").status == 201
    assert model.match("PATCH", "/2017-08-29/jobs") is None


def test_every_broken_bound_is_named_with_its_pointer():
    shape = model.service_model().shape_for("CreateJobRequest")
    video = {"width": 9000, "height": "x", "colour": 1, "antiAlias": "YES"}
    groups = [{"outputs": [{"videoDescription": video}]}]
    found = {str(v) for v in validate.check(shape, {"settings": {"outputGroups": groups}})}
    at = "/outputGroups/0/outputs/0/videoDescription"
    assert found == {
        ": role is a required property",
        f"{at}/width: Should be less than or equal to 8192",
        f"{at}/height: Should be integer",
        f"{at}/colour: Should not have additional properties",
        f'{at}/antiAlias: Should be equal to one of the allowed values in ["DISABLED","ENABLED"]',
    }


def job(**body):
    settings = {"inputs": [], "outputGroups": []}
    return Job(
        number=1,
        job_id="1-a",
        arn="arn",
        queue_arn="queue",
        body={"role": "r", "settings": settings, **body},
        now_s=5.0,
    )


def test_an_interrupted_job_comes_back_as_submitted():
    first = job()
    assert first.begin(6.0)
    again = Job.from_record(first.to_record())
    assert (again.status, again.retry_count) == ("SUBMITTED", 1)


def test_a_finished_job_comes_back_as_it_was():
    first = job()
    first.begin(6.0)
    first.warn(230001, "no colour")
    first.finish("ERROR", 7.0, error=(1404, "missing"))
    again = Job.from_record(first.to_record())
    assert again.to_wire() == first.to_wire()
    assert again.to_wire()["errorCode"] == 1404


def test_progress_never_goes_back():
    one = job()
    one.begin(6.0)
    one.reach("TRANSCODING", 50)
    one.reach("TRANSCODING", 40)
    assert one.to_wire()["jobPercentComplete"] == 50


def a_source(**changes):
    video = Video(
        index=0, codec="h264", fourcc="avc1", profile="High", level=40, width=1920, height=1080,
        pix_fmt="yuv420p", bit_depth=8, chroma="4:2:0", sar=Fraction(1), rotation=0,
        field_order="progressive", rate=Fraction(24), vfr=False, primaries=1, transfer=1, matrix=1,
        full_range=False, duration_s=1.0, bitrate_bps=None, frames_found=24, decodable=True,
        encrypted=False,
    )  # fmt: skip
    return Source(
        path=None, container="mp4", size_bytes=1, duration_s=1.0, bitrate_bps=None,
        start_timecode=None, video=replace(video, **changes), other_videos=(), audio=(), data=(),
        truncated=False,
    )  # fmt: skip


def test_a_picture_of_unknown_size_has_no_aspect_ratio():
    found = probe.result(a_source(width=0, height=0), etag="e", last_modified_s=1.0, name="a.ts")
    [track] = found["container"]["tracks"]
    assert track["videoProperties"]["height"] == 0
    assert "displayAspectRatio" not in track["videoProperties"]


@pytest.mark.parametrize(
    ("pix_fmt", "chroma"), [("gbrp", "4:4:4"), ("yuv422p10le", "4:2:2"), ("argb", "4:4:4")]
)
def test_chroma_subsampling_is_named(pix_fmt, chroma):
    assert _chroma(pix_fmt) == chroma


def test_frame_rates_of_events_are_plain_numbers():
    detail = events.input_information("s3://a/b", a_source())["inputDetails"][0]["video"][0]
    assert detail == {
        "bitDepth": 8, "codec": "H_264", "colorFormat": "YUV_420", "fourCC": "avc1",
        "frameRate": 24, "height": 1080, "interlaceMode": "PROGRESSIVE", "sar": "1:1",
        "standard": "UNSPECIFIED", "streamId": 1, "width": 1920,
    }  # fmt: skip
