"""What the MediaConvert stand-in writes, looked at with PyAV and a second ffmpeg run."""

import re
import shutil
import subprocess
import sys
import threading
import time
from fractions import Fraction

import av
import imageio_ffmpeg
import pytest

from slimreel.local.faults import Faults
from slimreel.local.mediaconvert import MediaConvert, metrics, render, work
from slimreel.local.mediaconvert.encode import kill_left_over
from slimreel.local.mediaconvert.job import Job
from slimreel.local.mediaconvert.source import read

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


def ffmpeg(*argv, cwd=None):
    done = subprocess.run(
        [FFMPEG, "-v", "info", "-nostats", "-y", *argv], capture_output=True, text=True, cwd=cwd
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stderr


class Folder:
    def __init__(self, root):
        self.root = root

    def object_path(self, bucket, key):
        path = self.root / bucket / key
        if not path.is_file():
            raise KeyError(key)
        return path

    def put_file(self, bucket, key, path, *, content_type):
        target = self.root / bucket / key
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, target)

    def has_bucket(self, bucket):
        return (self.root / bucket).is_dir()


class Encoder:
    """Runs one job in this thread and gives back the output file."""

    def __init__(self, root):
        self.root = root
        self.store = Folder(root / "s3")
        self.warnings = []
        (root / "s3/in").mkdir(parents=True)
        (root / "s3/out").mkdir()

    def __call__(self, clip, *, codec="H_264", settings=None, video=None, audio=(), **inputs):
        source = self.root / "s3/in" / clip.name
        if source != clip:
            shutil.copy(clip, source)
        job = Job(
            number=1,
            job_id="1-a",
            arn="arn",
            queue_arn="queue",
            body={
                "role": "arn:aws:iam::123456789012:role/encoder",
                "settings": job_settings(clip.name, codec, settings or {}, video or {}, audio) | {},
            },
            now_s=1.0,
        )
        job.settings["inputs"][0] |= inputs
        self.job = job
        self.groups = work.perform(
            job,
            store=self.store,
            account_id="123456789012",
            folder=self.root / "work",
            report=work.Report(
                opened=lambda url, source: None,
                warned=lambda code, text: self.warnings.append(code),
                progress=lambda *at: None,
            ),
        )
        return self.root / "s3/out/film.mp4"

    def metric(self, name):
        text = (self.root / f"s3/out/film_{name}.csv").read_text()
        rows = re.findall(r"^(\d+),([0-9.]+)$", text, re.MULTILINE)
        assert [int(n) for n, _ in rows] == list(range(len(rows)))
        return [float(value) for _, value in rows]


KEYS = {"H_264": "h264Settings", "H_265": "h265Settings", "AV1": "av1Settings"}


def job_settings(name, codec, settings, video, audio):
    quality = {"rateControlMode": "QVBR", "maxBitrate": 4_000_000}
    fast = {} if codec == "AV1" else {"qualityTuningLevel": "SINGLE_PASS"}
    tracks = {f"Audio Selector {n + 1}": a.get("selector", {}) for n, a in enumerate(audio)}
    return {
        "inputs": [
            {
                "fileInput": f"s3://in/{name}",
                "timecodeSource": "ZEROBASED",
                "videoSelector": {"rotate": "AUTO"},
                "audioSelectors": tracks,
            }
        ],
        "outputGroups": [
            {
                "outputGroupSettings": {
                    "type": "FILE_GROUP_SETTINGS",
                    "fileGroupSettings": {"destination": "s3://out/film"},
                },
                "outputs": [
                    {
                        "containerSettings": {"container": "MP4"},
                        "videoDescription": {
                            "codecSettings": {
                                "codec": codec,
                                KEYS[codec]: quality | fast | settings,
                            },
                            **video,
                        },
                        "audioDescriptions": [
                            {"audioSourceName": f"Audio Selector {n + 1}"} | a["description"]
                            for n, a in enumerate(audio)
                        ],
                    }
                ],
            }
        ],
    }


def aac(track, mode="CODING_MODE_2_0", **description):
    settings = {"codingMode": mode, "sampleRate": 48000, "bitrate": 96_000}
    if mode == "CODING_MODE_5_1":
        settings["bitrate"] = 256_000
    return {
        "selector": {"tracks": [track]},
        "description": {
            "languageCodeControl": "FOLLOW_INPUT",
            "codecSettings": {"codec": "AAC", "aacSettings": settings},
            **description,
        },
    }


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """A folder of one-second films, made once."""
    folder = tmp_path_factory.mktemp("films")
    picture = ["-f", "lavfi", "-i", "testsrc2=s=320x180:r=30000/1001:d=1"]
    h264 = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "8", "-pix_fmt", "yuv420p"]
    ffmpeg(
        *picture, "-f", "lavfi", "-i", "sine=d=1", "-f", "lavfi", "-i", "anoisesrc=d=1:c=pink",
        "-filter_complex", "[2]pan=5.1|c0=c0|c1=c0|c2=c0|c3=c0|c4=c0|c5=c0[s]",
        "-map", "0", "-map", "1", "-map", "[s]", *h264, "-c:a", "aac", "-filter:v",
        "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv",
        "-metadata", "creation_time=2024-01-01T00:00:00Z", "-metadata", "location=+52.5+013.4/",
        "-metadata", "comment=secret", "-metadata:s:a:0", "language=eng",
        "-metadata:s:a:1", "language=deu", "-timecode", "01:00:00:00",
        "-movflags", "+faststart", folder / "two-tracks.mp4",
    )  # fmt: skip
    ffmpeg("-display_rotation", "-90", "-i", folder / "two-tracks.mp4", "-an", "-c", "copy",
           folder / "turned.mp4")  # fmt: skip
    ffmpeg(*picture, "-vf", "setpts='N/25/TB+0.006*random(1)/TB'", "-fps_mode", "passthrough",
           *h264, "-video_track_timescale", "90000", folder / "phone.mp4")  # fmt: skip
    ffmpeg(*picture, "-vf", "setsar=2/1", *h264, folder / "anamorphic.mp4")
    ffmpeg(*picture, *h264, "-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "0" * 32,
           "-encryption_kid", "1" * 32, folder / "locked.mp4")  # fmt: skip
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=4", *h264, "-g", "25",
           "-movflags", "+faststart", folder / "four-seconds.mp4")  # fmt: skip
    return folder


@pytest.fixture
def encode(tmp_path):
    return Encoder(tmp_path)


def ssim(result, source, chain="null", own="null"):
    said = ffmpeg(
        "-noautorotate", "-i", result, "-noautorotate", "-i", source,
        "-filter_complex", f"[1:v]{chain}[r];[0:v]{own}[o];[o][r]ssim", "-an", "-f", "null", "-",
    )  # fmt: skip
    return float(re.search(r"All:([0-9.]+)", said)[1])


def top_boxes(path):
    data, at, names = path.read_bytes(), 0, []
    while at < len(data):
        names.append(data[at + 4 : at + 8])
        at += int.from_bytes(data[at : at + 4], "big")
    return names


def test_every_track_comes_out_with_language_and_channels(encode, films):
    result = encode(
        films / "two-tracks.mp4", audio=(aac(1), aac(2, "CODING_MODE_5_1", streamName="Music"))
    )
    with av.open(str(result)) as film:
        assert [(s.codec_context.name, s.codec_context.channels, s.language)
                for s in film.streams.audio] == [("aac", 2, "eng"), ("aac", 6, "deu")]  # fmt: skip
        assert film.streams.audio[1].metadata["handler_name"] == "Music"
        video = film.streams.video[0]
        assert (video.codec_context.name, video.average_rate) == ("h264", Fraction(30000, 1001))
        for stream in film.streams:
            assert float(stream.duration * stream.time_base) == pytest.approx(1.0, abs=0.05)


def test_metadata_is_gone_and_moov_comes_first(encode, films):
    result = encode(films / "two-tracks.mp4", audio=(aac(1),))
    with av.open(str(result)) as film:
        assert set(film.metadata) <= {"major_brand", "minor_version", "compatible_brands"}
        assert film.streams.video[0].metadata.keys() <= {"language", "handler_name", "vendor_id"}
        assert {s.type for s in film.streams} == {"video", "audio"}  # no timecode track
    assert b"Lavf" not in result.read_bytes()
    names = top_boxes(result)
    assert names.index(b"moov") < names.index(b"mdat")


def test_colour_tags_are_carried_or_dropped_as_asked(encode, films):
    def tags(path):
        with av.open(str(path)) as film:
            codec = film.streams.video[0].codec_context
            return [int(v) for v in (codec.color_primaries, codec.color_trc, codec.colorspace)]

    assert tags(encode(films / "two-tracks.mp4")) == [1, 1, 1]
    assert tags(encode(films / "two-tracks.mp4", video={"colorMetadata": "IGNORE"})) == [2, 2, 2]


def test_rotation_is_applied_and_its_metadata_dropped(encode, films):
    result = encode(films / "turned.mp4", settings={"perFrameMetrics": ["SSIM"]})
    found = read(result).video
    assert (found.width, found.height, found.rotation) == (180, 320, 0)
    assert ssim(result, films / "turned.mp4", "transpose=clock") > 0.97


def test_without_auto_the_picture_lies_on_its_side(encode, films):
    result = encode(films / "turned.mp4", videoSelector={})
    found = read(result).video
    assert (found.width, found.height, found.rotation) == (320, 180, 0)


def test_a_variable_rate_becomes_the_documented_constant_one(encode, films):
    source = read(films / "phone.mp4").video
    assert source.vfr
    assert 24 < source.rate < 26
    result = read(encode(films / "phone.mp4")).video
    assert (result.vfr, result.rate) == (False, 30)


def test_non_square_pixels_stay(encode, films):
    result = read(encode(films / "anamorphic.mp4", video={"width": 160, "height": 90})).video
    assert (result.width, result.height, result.sar) == (160, 90, 2)


@pytest.mark.parametrize(
    ("video", "size"),
    [
        ({"width": 200, "height": 200, "scalingBehavior": "FIT_NO_UPSCALE"}, (200, 112)),
        ({"width": 640, "height": 640}, (640, 640)),
        ({"width": 100, "height": 100, "scalingBehavior": "FILL"}, (100, 100)),
    ],
)
def test_sizes(encode, films, video, size):
    found = read(encode(films / "two-tracks.mp4", video=video)).video
    assert (found.width, found.height) == size


@pytest.mark.parametrize("audio", [(), (aac(1),)], ids=["silent", "with sound"])
def test_per_frame_ssim_is_what_a_separate_ffmpeg_measures(encode, films, audio):
    wanted = {"perFrameMetrics": ["SSIM", "QVBR"]}
    result = encode(films / "two-tracks.mp4", settings=wanted, audio=audio)
    # Sound beside a decoder of what was just encoded brings ffmpeg to a standstill now and then.
    assert [("-dec" in argv, "-c:a:0" in argv) for argv, _ in encode.job.commands] == (
        [(False, True), (False, False)] if audio else [(True, False)]
    )
    values = encode.metric("SSIM")
    assert len(values) == 30
    mean = sum(values) / len(values)
    assert mean == pytest.approx(ssim(result, films / "two-tracks.mp4"), abs=1e-4)
    assert all(1 <= value <= 10 for value in encode.metric("QVBR"))


def test_other_metrics_have_their_scales(encode, films):
    wanted = ["PSNR", "VMAF", "MS_SSIM", "PSNR_HVS"]
    encode(films / "two-tracks.mp4", settings={"perFrameMetrics": wanted})
    lows = {name: min(encode.metric(name)) for name in wanted}
    assert 30 < lows["PSNR"] <= 100
    assert 30 < lows["PSNR_HVS"] <= 100
    assert 0.9 < lows["MS_SSIM"] <= 1
    assert 70 < lows["VMAF"] <= 100


def test_a_cap_that_binds_lowers_the_qvbr_score(encode, films):
    film, level = films / "four-seconds.mp4", {"qvbrSettings": {"qvbrQualityLevel": 9}}
    free_bytes = encode(film, settings=level).stat().st_size
    score = encode.groups[0]["outputDetails"][0]["videoDetails"]["qvbrAvgQuality"]
    capped = encode(film, settings=level | {"maxBitrate": 60_000})
    assert capped.stat().st_size < free_bytes / 2
    assert encode.groups[0]["outputDetails"][0]["videoDetails"]["qvbrAvgQuality"] < score - 1


@pytest.mark.parametrize(
    ("codec", "settings", "fourcc"),
    [
        ("H_265", {"writeMp4PackagingType": "HVC1"}, "hvc1"),
        ("H_265", {}, "hev1"),
        ("AV1", {}, "av01"),
    ],
)
def test_other_codecs(encode, films, codec, settings, fourcc):
    found = read(
        encode(
            films / "two-tracks.mp4",
            codec=codec,
            settings=settings | {"perFrameMetrics": ["SSIM"]},
            video={"width": 160, "height": 90},
        )
    ).video
    assert found.fourcc == fourcc
    assert min(encode.metric("SSIM")) > 0.8


def test_two_passes_hit_an_average(encode, films):
    settings = {
        "rateControlMode": "VBR",
        "bitrate": 300_000,
        "maxBitrate": 600_000,
        "qualityTuningLevel": "MULTI_PASS_HQ",
    }
    encode(films / "two-tracks.mp4", settings=settings)
    average = encode.groups[0]["outputDetails"][0]["videoDetails"]["averageBitrate"]
    assert average == pytest.approx(300_000, rel=0.25)
    assert len(encode.job.commands) == 2


def test_passthrough_copies_the_very_packets(encode, films):
    copied = {
        "selector": {"tracks": [2]},
        "description": {"codecSettings": {"codec": "PASSTHROUGH"}},
    }
    result = encode(films / "two-tracks.mp4", audio=(copied,))

    def packets(path, number):
        with av.open(str(path)) as film:
            return [bytes(p) for p in film.demux(film.streams.audio[number]) if p.size]

    assert packets(result, 0) == packets(films / "two-tracks.mp4", 1)


def test_a_clip_is_cut_to_the_frame(encode, films):
    result = encode(
        films / "four-seconds.mp4",
        inputClippings=[{"startTimecode": "00:00:01:10", "endTimecode": "00:00:02:09"}],
    )
    assert read(result).video.frames_found == 25
    source = films / "four-seconds.mp4"
    assert ssim(result, source, "trim=start_frame=35:end_frame=60,setpts=PTS-STARTPTS") > 0.97


def test_clips_are_strung_together_with_their_sound(encode, films):
    result = encode(
        films / "two-tracks.mp4",
        audio=(aac(1),),
        settings={"perFrameMetrics": ["SSIM"]},
        inputClippings=[
            {"startTimecode": "00:00:00:15", "endTimecode": "00:00:00:24"},
            {"startTimecode": "00:00:00:02", "endTimecode": "00:00:00:11"},
        ],
    )
    found = read(result)
    assert found.video.frames_found == len(encode.metric("SSIM")) == 20
    assert found.audio[0].duration_s == pytest.approx(20 / float(found.video.rate), abs=0.05)
    for first, of_source in ((0, 15), (10, 2)):
        own = f"trim=start_frame={first}:end_frame={first + 10},setpts=N"
        theirs = f"trim=start_frame={of_source}:end_frame={of_source + 10},setpts=N"
        assert ssim(result, films / "two-tracks.mp4", theirs, own) > 0.97


def test_a_file_cut_in_the_middle_completes_short_with_a_warning(encode, films, tmp_path):
    cut = tmp_path / "cut.mp4"
    whole = (films / "four-seconds.mp4").read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    result = encode(cut)
    assert 220000 in encode.warnings
    assert 20 < read(result).video.frames_found < 80


@pytest.mark.parametrize(("kept", "code"), [(1, 1091), (0, 1020)])
def test_what_cannot_be_decoded_is_refused(encode, films, tmp_path, kept, code):
    if kept:
        film = films / "locked.mp4"
    else:
        film = tmp_path / "sound.mp4"
        ffmpeg("-i", films / "two-tracks.mp4", "-vn", "-c", "copy", film)
    with pytest.raises(work.JobError) as caught:
        encode(film)
    assert caught.value.code == code


def test_playlists_in_disguise_open_nothing(encode, films, tmp_path):
    playlist = tmp_path / "film.mp4"
    playlist.write_text(f"ffconcat version 1.0\nfile {films / 'two-tracks.mp4'}\n")
    with pytest.raises(work.JobError) as caught:
        encode(playlist)
    assert caught.value.code == 1010


def test_names_that_look_like_options_are_names(encode, films, tmp_path):
    odd = tmp_path / "-y 'a' \"b\" $(c) 🎬.mp4"
    shutil.copy(films / "two-tracks.mp4", odd)
    assert read(encode(odd)).video.frames_found == 30


def test_commands_can_be_run_again_bare(encode, films, tmp_path):
    result = encode(films / "two-tracks.mp4", settings={"perFrameMetrics": ["SSIM"]})
    (argv, seconds) = encode.job.commands[0]
    assert seconds > 0
    again = tmp_path / "again"
    again.mkdir()
    subprocess.run(argv, cwd=again, check=True, capture_output=True)
    assert (again / "output.mp4").stat().st_size == result.stat().st_size
    assert (again / render.SSIM_LOG).exists()


def test_closing_ends_ffmpeg(tmp_path, films):
    store = Folder(tmp_path / "s3")
    (tmp_path / "s3/in").mkdir(parents=True)
    (tmp_path / "s3/out").mkdir()
    ffmpeg("-stream_loop", "100", "-i", films / "four-seconds.mp4", "-c", "copy",
           tmp_path / "s3/in/long.mp4")  # fmt: skip
    service = MediaConvert(
        store=store, emit=lambda event: None, work_dir=tmp_path / "work", faults=Faults()
    )
    slow = {"qualityTuningLevel": "MULTI_PASS_HQ"}
    settings = job_settings("long.mp4", "H_264", slow, {}, ())
    body = {"role": "arn:aws:iam::123456789012:role/r", "settings": settings}
    job = Job(
        number=1,
        job_id="1-a",
        arn="arn",
        queue_arn="arn:aws:mediaconvert:eu-west-1:123456789012:queues/Default",
        body=body,
        now_s=time.time(),
    )
    service._schedule.submit(job)
    pid_file = tmp_path / "work/1-a/1/ffmpeg.pid"
    until = time.monotonic() + 10
    while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < until:
        time.sleep(0.01)
    process = pid_file.read_text()
    service.close()
    running = subprocess.run(["ps", "-p", process, "-o", "stat="], capture_output=True, text=True)
    assert running.stdout.strip() in ("", "Z")
    assert not any(t.name.startswith("mediaconvert") for t in threading.enumerate())
    assert job.status == "PROGRESSING"  # the record says so too: a later process takes it up


def test_identical_frames_score_the_documented_maximum():
    assert metrics.as_csv("PSNR", [metrics._finite(float("inf"))]).splitlines()[1] == "0,100.00"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_ffmpeg_that_outlived_its_parent_is_ended_at_the_next_start(tmp_path):
    place = tmp_path / "1-a/1"
    place.mkdir(parents=True)
    left_over = subprocess.Popen(["sleep", "60"], cwd=place, start_new_session=True)
    stranger = subprocess.Popen(["sleep", "60"], cwd=tmp_path, start_new_session=True)
    other = tmp_path / "1-b/1"
    other.mkdir(parents=True)
    (place / "ffmpeg.pid").write_text(str(left_over.pid))
    (other / "ffmpeg.pid").write_text(str(stranger.pid))  # the id now belongs to someone else
    kill_left_over(tmp_path)
    assert left_over.wait(timeout=5) == -9
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_a_film_without_container_is_read(tmp_path):
    path = tmp_path / "tape.dv"
    picture = "testsrc2=s=720x576:r=25:d=0.2,format=yuv420p"
    ffmpeg("-f", "lavfi", "-i", picture, "-f", "dv", path)
    film = read(path)
    assert film.container == ""
    assert film.video is not None
    assert (film.video.codec, film.video.width, film.video.frames_found) == ("dvvideo", 720, 5)
