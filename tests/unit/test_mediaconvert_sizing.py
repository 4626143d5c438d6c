import pytest

from slimreel.local.mediaconvert.errors import JobError
from slimreel.local.mediaconvert.sizing import geometry


def size(source, width, height, behaviour):
    found = geometry(
        source, width=width, height=height, behaviour=behaviour, codec="H_264", description=1
    )
    return found.scaled, found.final


@pytest.mark.parametrize(
    ("source", "width", "height", "behaviour", "expected"),
    [
        ((400, 400), 200, 300, "FIT_NO_UPSCALE", ((200, 200), (200, 200))),  # AWS's example
        ((640, 360), 1920, 1080, "FIT_NO_UPSCALE", ((640, 360), (640, 360))),
        ((640, 360), 1280, 1280, "FIT", ((1280, 720), (1280, 720))),
        ((640, 360), 1280, 1280, "DEFAULT", ((1280, 720), (1280, 1280))),
        ((640, 360), 300, 300, "STRETCH_TO_OUTPUT", ((300, 300), (300, 300))),
        ((640, 360), 360, 360, "FILL", ((640, 360), (360, 360))),
        ((1920, 1080), None, 720, "DEFAULT", ((1280, 720), (1280, 720))),
        ((1920, 1080), 854, None, "DEFAULT", ((854, 480), (854, 480))),
        ((640, 360), None, 720, "FIT_NO_UPSCALE", ((640, 360), (640, 360))),
        ((640, 360), None, None, "DEFAULT", ((640, 360), (640, 360))),
    ],
)
def test_sizes_follow_the_scaling_behaviour(source, width, height, behaviour, expected):
    assert size(source, width, height, behaviour) == expected


def test_an_odd_request_is_refused_in_the_service_s_words():
    with pytest.raises(JobError) as caught:
        size((912, 514), 912, 513, "STRETCH_TO_OUTPUT")
    assert caught.value.code == 1040
    assert caught.value.message == (
        "Invalid resolution [912 x 513], only even values are supported. video_description [1]"
    )


def test_an_odd_box_is_refused_even_when_the_picture_stays_inside():
    with pytest.raises(JobError):
        size((640, 360), 1921, 1080, "FIT_NO_UPSCALE")


def test_an_odd_source_kept_as_it_is_is_refused():
    with pytest.raises(JobError):
        size((161, 121), None, None, "DEFAULT")


def test_a_picture_larger_than_the_codec_allows_is_refused():
    with pytest.raises(JobError):
        size((7680, 4320), None, None, "DEFAULT")
