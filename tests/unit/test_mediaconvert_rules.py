import copy

import pytest

from slimreel.local.mediaconvert import rules, supported

QVBR = {"rateControlMode": "QVBR", "maxBitrate": 5_000_000}
AAC = {"codingMode": "CODING_MODE_2_0", "sampleRate": 48000, "bitrate": 128_000}


def body(h264=QVBR, aac=AAC, **video):
    description = {"codecSettings": {"codec": "H_264", "h264Settings": dict(h264)}, **video}
    output = {
        "containerSettings": {"container": "MP4"},
        "videoDescription": description,
        "audioDescriptions": [{"codecSettings": {"codec": "AAC", "aacSettings": dict(aac)}}],
    }
    group = {
        "outputGroupSettings": {
            "type": "FILE_GROUP_SETTINGS",
            "fileGroupSettings": {"destination": "s3://out/x"},
        },
        "outputs": [output],
    }
    settings = {"inputs": [{"fileInput": "s3://in/a.mp4"}], "outputGroups": [group]}
    return {"role": "r", "settings": settings}


def broken(request):
    return [str(violation) for violation in rules.check(request)]


def rule_of(request, pointer):
    return [text.partition(": ")[2] for text in broken(request) if text.startswith(pointer)]


H264 = "/outputGroups/0/outputs/0/videoDescription/codecSettings/h264Settings"


def test_a_plain_job_breaks_nothing():
    assert broken(body()) == []
    assert supported.not_done(body()) == []


@pytest.mark.parametrize(
    ("h264", "text"),
    [
        ({"rateControlMode": "QVBR"}, "maxBitrate is a required property"),
        (QVBR | {"bitrate": 4_000_000}, "Your job contains values for the following settings"),
        ({"rateControlMode": "CBR", "bitrate": 10**6, "maxBitrate": 10**6}, "You set Rate control"),
        ({"rateControlMode": "VBR"}, "bitrate is a required property"),
        (QVBR | {"framerateControl": "SPECIFIED"}, "framerateNumerator is a required property"),
        (QVBR | {"codecProfile": "BASELINE"}, 'Should match exactly one schema defined in "oneOf"'),
    ],
)
def test_rate_control_rules(h264, text):
    assert any(rule.startswith(text) for rule in rule_of(body(h264), f"{H264}: "))


def test_an_average_cap_needs_multi_pass():
    asked = QVBR | {"qvbrSettings": {"maxAverageBitrate": 1_000_000}}
    assert f"{H264}/qualityTuningLevel: Must be MULTI_PASS_HQ" in broken(body(asked))
    assert broken(body(asked | {"qualityTuningLevel": "MULTI_PASS_HQ"})) == []


def test_qvbr_metric_needs_qvbr():
    asked = {"rateControlMode": "VBR", "bitrate": 10**6, "perFrameMetrics": ["QVBR"]}
    assert f"{H264}/rateControlMode: Must be QVBR" in broken(body(asked))


@pytest.mark.parametrize("bitrate", [63_999, 600_000])
def test_aac_bitrates_outside_the_table_are_refused(bitrate):
    found = broken(body(aac=AAC | {"bitrate": bitrate}))
    assert "Specify a bitrate in the range of 64000-576000" in found[0]


def test_aac_needs_its_sample_rate():
    found = broken(body(aac={"codingMode": "CODING_MODE_2_0", "bitrate": 96_000}))
    assert found == [
        "/outputGroups/0/outputs/0/audioDescriptions/0/codecSettings/aacSettings: "
        "sampleRate is a required property"
    ]


@pytest.mark.parametrize(
    ("width", "height", "level", "profile", "most"),
    [
        (1280, 720, "LEVEL_3", "MAIN", "width: Should be less than or equal to 576"),
        (1920, 1080, "LEVEL_3", "MAIN", "width: Should be less than or equal to 1808"),
    ],
)
def test_an_explicit_level_narrows_the_frame(width, height, level, profile, most):
    asked = QVBR | {"codecLevel": level, "codecProfile": profile}
    found = broken(body(asked, width=width, height=height))
    assert f"/outputGroups/0/outputs/0/videoDescription/{most}" in found


def test_an_explicit_level_narrows_the_bitrate():
    asked = QVBR | {"maxBitrate": 20_000_000, "codecLevel": "LEVEL_3_1", "codecProfile": "MAIN"}
    assert rule_of(body(asked), f"{H264}/maxBitrate") == [
        "Should be less than or equal to 16800000"
    ]


def test_settings_of_another_codec_are_refused():
    request = body()
    request["settings"]["outputGroups"][0]["outputs"][0]["videoDescription"]["codecSettings"][
        "codec"
    ] = "H_265"
    assert any("Must be H_264" in text for text in broken(request))


def test_several_outputs_need_name_modifiers():
    request = body()
    outputs = request["settings"]["outputGroups"][0]["outputs"]
    outputs.append(copy.deepcopy(outputs[0]))
    assert "/outputGroups/0/outputs/1: nameModifier is a required property" in broken(request)


@pytest.mark.parametrize(
    "metadata",
    [
        {f"k{n}": "v" for n in range(11)},
        {"k" * 129: "v"},
        {"k": "v" * 257},
        {"aws:job": "v"},
        {"k": "a;b"},
        {"k": "a\n"},
    ],
)
def test_user_metadata_limits(metadata):
    found = broken(body() | {"userMetadata": metadata})
    assert found
    assert all(text.startswith("/userMetadata") for text in found)


@pytest.mark.parametrize("value", ["schön 1 _.:/=+-@", ""])
def test_user_metadata_takes_letters_of_any_script(value):
    assert broken(body() | {"userMetadata": {"job": value}}) == []


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"scalingBehavior": "SMART_CROP"}, "/scalingBehavior: SMART_CROP"),
        ({"crop": {"x": 0}}, "/crop"),
        ({"videoPreprocessors": {"timecodeBurnin": {}}}, "/timecodeBurnin"),
    ],
)
def test_what_is_not_done_is_named(change, pointer):
    found = supported.not_done(body(**change))
    assert len(found) == 1
    assert found[0].endswith(pointer)


def test_two_inputs_are_not_done():
    request = body()
    request["settings"]["inputs"] *= 2
    assert supported.not_done(request) == ["/settings/inputs: more than one input"]
