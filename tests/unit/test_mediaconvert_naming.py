from datetime import UTC, datetime

import pytest

from slimreel.local.mediaconvert.naming import Variables, input_name, output_url

VARIABLES = Variables(
    started=datetime(2026, 11, 21, 7, 5, 9, tzinfo=UTC),
    input_name="my clip",
    width=1280,
    height=720,
    frame_rate=29,
    video_kbps=5000,
    audio_kbps=128,
    extension="mp4",
)


@pytest.mark.parametrize(
    ("destination", "modifier", "expected"),
    [
        ("s3://out/a/name", None, "s3://out/a/name.mp4"),
        ("s3://out/a/", "-small", "s3://out/a/my clip-small.mp4"),
        ("s3://out/a/$fn$-$dt$", None, "s3://out/a/my clip-20261121T070509.mp4"),
        ("s3://out/a/x", "-$w$x$h%05$-$rv$-$f$", "s3://out/a/x-1280x00720-5000-29.mp4"),
        ("s3://out/$d$/$t$", "$$", "s3://out/20261121/070509$.mp4"),
        ("s3://out/a/$w$", None, "s3://out/a/$w$.mp4"),  # output variables: modifiers only
        ("s3://out", None, "s3://out/my clip.mp4"),
    ],
)
def test_output_names(destination, modifier, expected):
    output = {"nameModifier": modifier} if modifier else {}
    assert output_url(destination, output, VARIABLES) == expected


def test_input_name_drops_folders_and_one_extension():
    assert input_name("s3://in/jobs/1/take.final.mov") == "take.final"
