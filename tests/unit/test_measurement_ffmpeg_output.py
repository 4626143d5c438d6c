"""What ffmpeg 9.0 really printed, and what we read in it."""

# ruff: noqa: E501 - tool output is pasted as it came

from fractions import Fraction

import pytest

from chalicelib.domain.colour import Colour
from chalicelib.domain.ffmpeg_output import (
    Complaints,
    PacketTimes,
    ProbedTrack,
    channels,
    parse_probe,
    parse_version,
)

PHONE = """\
Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'phone.mp4':
  Metadata:
    major_brand     : isom
    creation_time   : 2023-04-28T17:52:17.000000Z
    location        : +51.5932-0.2431/
    com.android.capture.fps: 30.000000
  Duration: 00:00:00.10, start: 0.000000, bitrate: 54598 kb/s
  Stream #0:0[0x1](eng): Data: none (mett / 0x7474656D), 30 kb/s (default)
    Metadata:
      handler_name    : MetaHandle
  Stream #0:1[0x2](eng): Audio: aac (LC) (mp4a / 0x6134706D), 48000 Hz, stereo, fltp, 171 kb/s (default)
    Metadata:
      handler_name    : SoundHandle
  Stream #0:2[0x3](eng): Video: hevc (Main) (hvc1 / 0x31637668), yuvj420p(pc, smpte170m/bt470bg/bt709), 1920x1080, 54283 kb/s, SAR 1:1 DAR 16:9, 29.98 fps, 29.98 tbr, 90k tbn (default)
    Metadata:
      handler_name    : VideoHandle
    Side data:
      Display Matrix: rotation of -90.00 degrees
At least one output file must be specified
"""

COVER = """\
Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'cov.mp4':
  Metadata:
    title           : x
                    :   Stream #0:9: Audio: aac, 48000 Hz, stereo
  Duration: 00:00:02.00, start: 1.400000, bitrate: 407 kb/s
  Stream #0:0[0x1](und): Video: h264 (High) (avc1 / 0x31637661), yuv420p(progressive), 320x240 [SAR 1:1 DAR 4:3], 246 kb/s, 30 fps, 30 tbr, 15360 tbn (default)
  Stream #0:1[0x2](eng): Audio: aac (LC) (mp4a / 0x6134706D), 48000 Hz, mono, fltp, 70 kb/s (default)
  Stream #0:2[0x3](fra): Audio: ac3, 44100 Hz, 5.1(side), fltp, 96 kb/s
  Stream #0:3[0x0]: Video: png, rgb24(pc, gbr/unknown/unknown), 32x32 [SAR 1:1 DAR 1:1], 90k tbr, 90k tbn (attached pic)
"""

TIME_CODE = """\
Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'A001.mov':
  Metadata:
    major_brand     : qt
    Stream #0:8: Audio: aac, 48000 Hz, stereo: a key that anyone can choose
  Duration: 00:00:04.00, start: 0.000000, bitrate: 4482 kb/s
  Stream group #0:0[0x3]: Track Reference:
    Metadata:
      Stream #0:9: Audio: aac, 48000 Hz, stereo: another
    Stream #0:2[0x1]: Video: h264 (High) (avc1 / 0x31637661), yuv420p(progressive), 1280x720, 4343 kb/s, 24 fps, 24 tbr, 12288 tbn (default)
      Metadata:
        timecode        : 10:00:00:00
      Side data:
        Display Matrix: rotation of -90.00 degrees
    Stream #0:3[0x3](eng): Data: none (tmcd / 0x64636D74), 0 kb/s
  Stream group #0:1[0x4]: Track Reference:
    Stream #0:2[0x1]: Video: h264 (High) (avc1 / 0x31637661), yuv420p(progressive), 1280x720, 4343 kb/s, 24 fps, 24 tbr, 12288 tbn (default)
      Side data:
        Display Matrix: rotation of -90.00 degrees
    Stream #0:1[0x5](fra): Audio: pcm_s24le (in24 / 0x34326E69), 48000 Hz, mono, s32 (24 bit), 1152 kb/s
  Stream #0:0[0x2](eng): Audio: pcm_s24le (in24 / 0x34326E69), 48000 Hz, stereo, s32 (24 bit), 2304 kb/s (default)
"""

WEBM = """\
Input #0, matroska,webm, from 'no_duration.webm':
  Duration: N/A, start: 0.000000, bitrate: N/A
  Stream #0:0(eng): Video: vp9 (Profile 0), yuv420p(tv, bt709/unknown/unknown), 1280x720, SAR 1:1 DAR 16:9, 14.99 fps, 14.99 tbr, 1k tbn (default)
  Stream #0:1(eng): Audio: opus, 48000 Hz, stereo, fltp, start 0.015000 (default)
"""


def test_turned_phone_film_is_described_as_shown():
    probe = parse_probe(PHONE.splitlines())
    assert (probe.start_s, probe.duration_s) == (0.0, 0.1)
    assert probe.tracks == (
        ProbedTrack(
            kind="audio",
            codec="aac",
            language="eng",
            channels=2,
            layout="stereo",
            sample_rate_hz=48000,
        ),
        ProbedTrack(
            kind="video",
            codec="hevc",
            language="eng",
            width=1080,
            height=1920,
            pixel_format="yuvj420p",
            colour=Colour(range="pc", matrix="smpte170m", primaries="bt470bg", transfer="bt709"),
        ),
    )


@pytest.mark.parametrize(
    ("brackets", "colour", "interlaced"),
    [
        ("(tv, bt709, progressive)", ("tv", "bt709", "bt709", "bt709"), False),
        (
            "(tv, bt2020nc/bt2020/arib-std-b67)",
            ("tv", "bt2020nc", "bt2020", "arib-std-b67"),
            False,
        ),
        ("(pc, gbr/unknown/unknown)", ("pc", "gbr", "unknown", "unknown"), False),
        ("(tv, top first)", ("tv", "", "", ""), True),
        ("(tv, bt709, top coded first (swapped))", ("tv", "bt709", "bt709", "bt709"), True),
        ("(bottom coded first (swapped))", ("", "", "", ""), True),
        ("(progressive)", ("", "", "", ""), False),
        ("", ("", "", "", ""), False),
    ],
)
def test_colours_and_half_pictures_are_read(brackets, colour, interlaced):
    line = (
        f"  Stream #0:0: Video: hevc (Main 10) (hvc1 / 0x31), yuv420p10le{brackets}, 64x64, 25 fps"
    )
    [track] = parse_probe([line]).tracks
    found = track.colour
    assert (found.range, found.matrix, found.primaries, found.transfer) == colour
    assert track.interlaced is interlaced


def test_title_that_looks_like_a_track_and_a_cover_picture_are_no_tracks():
    probe = parse_probe(COVER.splitlines())
    assert probe.start_s == 1.4
    assert [(track.kind, track.language, track.channels) for track in probe.tracks] == [
        ("video", None, None),
        ("audio", "eng", 1),
        ("audio", "fra", 6),
    ]


def test_tracks_in_groups_are_tracks_like_others_once_and_in_the_file_s_order():
    probe = parse_probe(TIME_CODE.splitlines())
    assert [(track.kind, track.language, track.channels) for track in probe.tracks] == [
        ("audio", "eng", 2),
        ("audio", "fra", 1),
        ("video", None, None),
    ]
    assert (probe.tracks[2].width, probe.tracks[2].height) == (720, 1280)


@pytest.mark.parametrize(
    ("line", "shape", "transparent"),
    [
        ("h264 (High), yuv420p, 1440x1080 [SAR 4:3 DAR 16:9], 30 fps", (1440, 1080, 4 / 3), False),
        ("vp9, yuv420p(tv), 720x576, SAR 64:45 DAR 16:9, 25 fps", (720, 576, 64 / 45), False),
        ("h264, yuv420p, 720x576 [SAR 0:1 DAR 0:1], 25 fps", (720, 576, 1.0), False),
        ("prores (4444) (ap4h / 0x68347061), yuva444p12le, 64x64, 24 fps", (64, 64, 1.0), True),
        ("qtrle (rle  / 0x20656C72), argb(progressive), 64x64, 24 fps", (64, 64, 1.0), True),
    ],
)
def test_shape_of_pixels_and_transparency_are_read(line, shape, transparent):
    [track] = parse_probe([f"  Stream #0:0[0x1](und): Video: {line}"]).tracks
    assert (track.width, track.height, track.pixel_aspect) == shape
    assert track.transparent is transparent


def test_language_with_a_region_is_read():
    [track] = parse_probe(["  Stream #0:1(pt-BR): Audio: flac, 48000 Hz, mono, s16"]).tracks
    assert (track.language, track.channels) == ("pt-BR", 1)


def test_turned_pixels_lie_on_their_side():
    lines = ["  Stream #0:0: Video: h264, yuv420p, 720x576 [SAR 64:45 DAR 16:9], 25 fps"]
    lines += ["    Side data:", "      Display Matrix: rotation of 90.00 degrees"]
    [track] = parse_probe(lines).tracks
    assert (track.width, track.height, track.pixel_aspect) == (576, 720, 45 / 64)


def test_alpha_channel_that_decoders_ignore_is_seen():
    lines = ["  Stream #0:0: Video: vp9, yuv420p(tv), 64x64, SAR 1:1 DAR 1:1, 24 fps (default)"]
    [track] = parse_probe([*lines, "    Metadata:", "      alpha_mode      : 1"]).tracks
    assert track.transparent
    [track] = parse_probe([*lines, "    Metadata:", "      alpha_mode      : 0"]).tracks
    assert not track.transparent


def test_film_without_duration_is_described():
    probe = parse_probe(WEBM.splitlines())
    assert probe.duration_s is None
    assert [track.codec for track in probe.tracks] == ["vp9", "opus"]


def test_file_that_is_no_film_has_no_tracks():
    lines = [
        "[in#0 @ 0x55e8693d30c0] Error opening input: Invalid data found when processing input",
        "Error opening input file notes.mp4.",
    ]
    assert parse_probe(lines).tracks == ()


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ("mono", 1),
        ("stereo", 2),
        ("5.1(side)", 6),
        ("7.1.4", 12),
        ("quad(side)", 4),
        ("6 channels (FL+FR+FC+LFE+SL+SR)", 6),
        ("something new", None),
    ],
)
def test_channels_of_a_layout(layout, expected):
    assert channels(layout) == expected


FRAMECRC = """\
#extradata 0:       45, 0x2f7d0f6b
#software: Lavf63.1.102
#tb 0: 1/15360
#media_type 0: video
#codec_id 0: h264
#dimensions 0: 320x240
#sar 0: 1/1
#tb 1: 1/48000
#media_type 1: audio
#codec_id 1: pcm_s16le
#sample_rate 1: 48000
#channel_layout_name 1: mono
0,      -1024,          0,      512,     3670, 0xbd35bd2f
0,       -512,       1536,      512,     1068, 0x78f61a1f, F=0x0
0,          0,        512,      512,      448, 0xcf78d9e3, F=0x0
1,          0,          0,     1024,     2048, 0x0212ed55
0,        512,       1024,      512,      416, 0x4e14cf19, F=0x0
1,       1024,       1024,     1024,     2048, 0x22940802
1,      95232,      95232,      768,     1536, 0xf825011d
"""

#: Of a film cut without encoding: what precedes the cut is decoded, and not shown.
CUT = """\
#tb 0: 1/15360
#media_type 0: video
#codec_id 0: h264
0,     -11776,     -10752,      512,     3670, 0xbd35bd2f, F=0x5
0,      -3072,       -512,      512,     1613, 0xf58f1e5b, F=0x4
0,      -1024,       1536,      512,     1878, 0xb9a6aa52, F=0x0
0,       -512,        512,      512,      772, 0xda928705, F=0x0
0,          0,          0,      512,      653, 0x58543df1, F=0x0
0,        512,       1024,      512,      651, 0xf1a043fc, F=0x0
"""

AVI = """\
#tb 0: 1/30
#media_type 0: video
#codec_id 0: mpeg4
0,          0, -9223372036854775808,        1,     4150, 0x720ca80b
0,          1, -9223372036854775808,        1,    15900, 0x92b59cd5
0,          2, -9223372036854775808,        1,     5865, 0x178c0550, F=0x0
0,          3,          3,        1,     1600, 0x7006e337, F=0x0
"""


def read(text: str) -> PacketTimes:
    times = PacketTimes()
    for line in text.splitlines():
        times.feed(line)
    return times


def test_times_are_those_of_presentation():
    times = read(FRAMECRC)
    (picture,), (sound,) = times.of("video"), times.of("audio")
    assert (picture.first_s, picture.end_s, picture.packets) == (0.0, 2048 / 15360, 4)
    assert picture.constant_rate == "30/1"
    assert (sound.first_s, sound.end_s) == (0.0, 2.0)
    assert sound.usual_duration_s == 1024 / 48000


def test_frames_outside_the_edit_list_do_not_count():
    (picture,) = read(CUT).of("video")
    assert (picture.first_s, picture.packets) == (0.0, 4)


def test_times_of_decoding_stand_in_where_there_are_no_others():
    (picture,) = read(AVI).of("video")
    assert picture.is_guessed
    assert picture.first_s == 0.0
    assert picture.end_s == pytest.approx(4 / 30)


def test_frames_of_unequal_length_have_no_rate():
    text = "#tb 0: 1/1000\n#media_type 0: video\n"
    text += (
        "0, 0, 0, 33, 1, 0x0\n0, 33, 33, 50, 1, 0x0\n0, 83, 83, 33, 1, 0x0\n0, 116, 116, 9, 1, 0x0"
    )
    assert read(text).of("video")[0].constant_rate is None


def test_last_frame_may_last_longer():
    text = "#tb 0: 1001/30000\n#media_type 0: video\n"
    text += "0, 0, 0, 1, 1, 0x0\n0, 1, 1, 1, 1, 0x0\n0, 2, 2, 40, 1, 0x0"
    assert read(text).of("video")[0].constant_rate == "30000/1001"


def test_two_ends_of_a_film_add_up():
    times, tail = read(FRAMECRC), read(CUT)
    for stream in tail.of("video"):
        stream.add(1_536_000, 512)
    times.join(tail)
    (picture,) = times.of("video")
    assert (picture.first_s, picture.end_s) == (0.0, (1_536_000 + 512) / 15360)


DAMAGED = """\
[in#0 @ 0x5569c3d140c0] [warning] UDTA parsing failed retrying raw
[h264 @ 0x5569c3d43900] [error] Reference 4 >= 4
[h264 @ 0x5569c3d43900] [error] error while decoding MB 10 4, bytestream 1350
[vist#0:0/h264 @ 0x5569c3e19b80] [dec:h264 @ 0x5569c3d84ec0] [warning] corrupt decoded frame
[aac @ 0x5569c3d873c0] [error] Pulse data corrupt or invalid.
"""

UNREACHABLE = """\
[http @ 0x5615ba357e80] [error] HTTP error 503 Slow Down
[in#0 @ 0x5615ba356f40] [error] Error opening input: Server returned 5XX Server Error reply
"""


def heard(text: str) -> Complaints:
    complaints = Complaints()
    for line in text.splitlines():
        complaints.feed(line)
    return complaints


def test_damage_is_counted_though_ffmpeg_exits_with_zero():
    complaints = heard(DAMAGED)
    assert complaints.errors == 4
    assert complaints.first[0] == "[h264] [error] Reference 4 >= 4"


def test_harmless_warnings_are_not_counted():
    line = "[mpeg4 @ 0x556d7bc91480] [warning] Discarding excessive bitstream in packed xvid"
    assert heard(line).errors == 0


def test_trouble_on_the_way_is_told_from_damage():
    assert heard(UNREACHABLE).network == ["[http] [error] HTTP error 503 Slow Down"]


def test_only_the_first_complaints_are_kept():
    complaints = heard("[h264 @ 0x1] [error] again\n" * 5_000)
    assert (complaints.errors, len(complaints.first)) == (5_000, 10)


def test_version_is_read():
    line = "ffmpeg version n9.0.2-17-g2a571b6068-20260930 Copyright (c) 2000-2026 the FFmpeg"
    assert parse_version(line) == "ffmpeg 9.0.2"


def test_frames_without_a_place_are_counted():
    """Frames at 0, 1, 2, 3 and 6 sixtieths; one packet of them is never shown by itself."""
    times = PacketTimes()
    for line in ["#tb 0: 1/60", "#media_type 0: video", "#codec_id 0: vp8"]:
        times.feed(line)
    for start in (0, 1, 1, 2, 3, 6):
        times.feed(f"0, {start}, {start}, 1, 99, 0x0")
    [stream] = times.of("video")
    assert stream.packets == 6
    assert stream.crowded(Fraction(60)) == 0
    assert stream.crowded(Fraction(30)) == 1  # at 1/60 and 2/60 there is one place
    assert stream.quick_frame_s == pytest.approx(1 / 60)
