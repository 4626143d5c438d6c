"""What is decided about a source, and how it is explained."""

from __future__ import annotations

import tomllib
from dataclasses import fields, replace

import pytest

from chalicelib.config import DATA, all_presets
from chalicelib.domain.attempts import aimed_higher, at_rate
from chalicelib.domain.media import MediaFacts
from chalicelib.domain.picture import output_size
from chalicelib.domain.plan import Plan, Route
from chalicelib.domain.planner import make_plan
from chalicelib.domain.preset import Preset, presets
from chalicelib.domain.search import Target
from tests.examples import a_plan, a_preset, a_sound, a_video, a_workflow, some_facts


def planned(facts: MediaFacts, preset: str = "balanced", **policy: object) -> Plan:
    return make_plan(facts, a_preset(preset), a_workflow(**policy))


def kept(facts: MediaFacts, **policy: object) -> str:
    plan = planned(facts, **policy)
    assert plan.route is Route.KEEP
    assert plan.qvbr_level is None and plan.audio == ()
    (reason,) = plan.reasons
    return reason


def rejected(facts: MediaFacts) -> str:
    plan = planned(facts)
    assert plan.route is Route.REJECT
    (reason,) = plan.reasons
    return reason


# encode


def test_a_plain_video_is_encoded_as_its_preset_says() -> None:
    plan = planned(some_facts(duration_s=15.0, video=a_video(duration_s=15.0)))
    assert plan.route is Route.ENCODE and plan.search is None
    assert (plan.qvbr_level, plan.tuning) == (8, "SINGLE_PASS_HQ")
    assert (plan.width, plan.height, plan.scaled) == (1920, 1080, False)
    assert (plan.ssim_floor, plan.ssim_worst_floor) == (0.95, 0.85)
    assert plan.losses == ()


def test_its_reasons_name_levels_preset_cap_and_size() -> None:
    said = " ".join(planned(some_facts()).reasons)
    for piece in ("levels 2 and 5", "“balanced”", "Looks the same", "10.5 Mbit/s", "1920x1080"):
        assert piece in said


def test_the_cap_is_that_of_the_preset_at_1080p30() -> None:
    plan = planned(some_facts(video=a_video(frame_rate=30.0)))
    assert plan.max_bitrate_bps == 12_000_000


@pytest.mark.parametrize(
    ("width", "height", "rate", "cap_bps"),
    [
        (1280, 720, 30.0, 6_532_000),  # (4/9) ** 0.75 of 12 Mbit/s
        (3840, 2160, 30.0, 33_941_000),  # 4 ** 0.75
        (1920, 1080, 60.0, 20_181_000),  # 2 ** 0.75
    ],
)
def test_the_cap_follows_picture_size_and_frame_rate(
    width: int, height: int, rate: float, cap_bps: int
) -> None:
    video = a_video(width=width, height=height, frame_rate=rate, bitrate_bps=200_000_000)
    found = planned(some_facts(video=video)).max_bitrate_bps
    assert found == pytest.approx(cap_bps, abs=1000)


def test_the_cap_is_never_above_what_the_source_has() -> None:
    plan = planned(some_facts(video=a_video(bitrate_bps=3_000_000)))
    assert plan.max_bitrate_bps == 3_000_000
    assert "At most 3.0 Mbit/s, which is what the original has." in plan.reasons


def test_a_track_without_a_bitrate_is_taken_for_the_whole_file() -> None:
    facts = some_facts(video=a_video(bitrate_bps=None), size_bytes=15_000_000)
    assert planned(facts).max_bitrate_bps == 2_000_000  # 120 Mbit in 60 s


def test_a_tiny_source_is_not_allowed_more_than_it_has() -> None:
    small = a_video(width=320, height=240, bitrate_bps=60_000)
    plan = planned(some_facts(video=small, size_bytes=450_000))
    assert plan.route is Route.SEARCH
    assert plan.max_bitrate_bps == 60_000
    assert "At most 60 kbit/s, which is what the original has." in plan.reasons


def test_the_fixed_preset_is_the_studios_recipe() -> None:
    plan = planned(some_facts(), preset="fixed")
    assert (plan.width, plan.height, plan.scaled) == (1280, 720, True)
    assert (plan.qvbr_level, plan.max_bitrate_bps) == (8, 5_000_000)
    assert plan.tuning == "MULTI_PASS_HQ" and plan.professional_tier
    assert (
        "The picture goes from 1920x1080 to 1280x720; the frame rate follows the original."
        in plan.reasons
    )
    assert "At most 5.0 Mbit/s, as the preset says." in plan.reasons


def test_the_cheapest_tier_is_taken_that_meets_the_intent() -> None:
    tiers = {name: planned(some_facts(), preset=name).professional_tier for name in all_presets()}
    dear = {name for name, professional in tiers.items() if professional}
    assert dear == {"fixed", "balanced-hevc", "balanced-av1", "master"}


def test_a_turned_phone_video_is_planned_upright() -> None:
    plan = planned(some_facts(video=a_video(rotation_deg=90)))
    assert plan.rotate
    assert (plan.width, plan.height, plan.scaled) == (1080, 1920, False)
    assert any("turned upright" in reason for reason in plan.reasons)


# size


@pytest.mark.parametrize(
    ("source", "preset", "wanted"),
    [
        ((1920, 1080), "balanced", (1920, 1080)),
        ((1919, 1079), "balanced", (1918, 1078)),  # even
        ((640, 361), "balanced", (640, 360)),
        ((7680, 4320), "balanced", (3840, 2160)),  # the encoder's largest
        ((4320, 7680), "balanced", (2160, 3840)),
        ((4000, 4000), "balanced", (2160, 2160)),
        ((5760, 1080), "balanced", (4096, 768)),
        ((3840, 2160), "fixed", (1280, 720)),
        ((2160, 3840), "fixed", (720, 1280)),
        ((1440, 1080), "fixed", (960, 720)),
        ((640, 480), "fixed", (640, 480)),  # never larger
        ((1281, 721), "fixed", (1278, 720)),
        ((854, 480), "fixed", (854, 480)),
    ],
)
def test_the_size_is_even_and_within_bounds(
    source: tuple[int, int], preset: str, wanted: tuple[int, int]
) -> None:
    video = a_video(width=source[0], height=source[1])
    assert output_size(video, a_preset(preset)) == wanted


def test_no_preset_lowers_the_short_side_below_720() -> None:
    too_low = replace(a_preset(), max_short_side_px=480)
    assert output_size(a_video(), too_low) == (1280, 720)


def test_odd_sizes_are_said_to_change() -> None:
    plan = planned(some_facts(video=a_video(width=1919, height=1079)))
    assert plan.scaled
    assert (
        "The picture goes from 1919x1079 to 1918x1078; the frame rate follows the original."
        in plan.reasons
    )


# sound


def test_aac_passes_through_whatever_its_channels() -> None:
    (track,) = planned(some_facts(audio=(a_sound(channels=8),))).audio
    assert (track.coding_mode, track.bitrate_bps, track.sample_rate_hz) == (None, None, None)
    assert track.language == "eng"


@pytest.mark.parametrize(
    ("channels", "mode", "bitrate_bps"),
    [
        (1, "CODING_MODE_1_0", 128_000),
        (2, "CODING_MODE_2_0", 256_000),
        (6, "CODING_MODE_5_1", 512_000),
    ],
)
def test_other_sound_becomes_aac_with_the_same_channels(
    channels: int, mode: str, bitrate_bps: int
) -> None:
    (track,) = planned(some_facts(audio=(a_sound(codec="PCM", channels=channels),))).audio
    assert (track.coding_mode, track.bitrate_bps) == (mode, bitrate_bps)


@pytest.mark.parametrize(("source_hz", "wanted_hz"), [(44_100, 44_100), (48_000, 48_000)])
def test_the_sample_rate_is_kept(source_hz: int, wanted_hz: int) -> None:
    (track,) = planned(some_facts(audio=(a_sound(codec="PCM", sample_rate_hz=source_hz),))).audio
    assert track.sample_rate_hz == wanted_hz


def test_a_lowered_sample_rate_is_told_as_a_loss() -> None:
    plan = planned(some_facts(audio=(a_sound(codec="PCM", sample_rate_hz=96_000),)))
    assert plan.audio[0].sample_rate_hz == 48_000
    assert plan.losses[0] == "Audio track 1 goes from 96 kHz to 48 kHz."


def test_a_raised_sample_rate_is_no_loss() -> None:
    plan = planned(some_facts(audio=(a_sound(codec="PCM", sample_rate_hz=22_050),)))
    assert plan.audio[0].sample_rate_hz == 48_000
    assert "kHz" not in " ".join(plan.losses)


def test_every_track_stays_in_order_with_its_language() -> None:
    audio = (
        a_sound(number=1, language="deu"),
        a_sound(number=2, codec="PCM", channels=6, language=None),
        a_sound(number=3, language="eng"),
    )
    tracks = planned(some_facts(audio=audio)).audio
    assert [(t.track, t.language) for t in tracks] == [(1, "deu"), (2, None), (3, "eng")]


def test_a_silent_film_is_encoded() -> None:
    plan = planned(some_facts(audio=()))
    assert plan.route is Route.SEARCH and plan.audio == ()


# losses


def test_what_the_encoder_cannot_carry_is_said() -> None:
    video = a_video(bit_depth=10, chroma="4:2:2", codec="PRORES")
    assert planned(some_facts(video=video, data_tracks=2)).losses == (
        "10-bit colour becomes 8-bit.",
        "4:2:2 colour sampling becomes 4:2:0.",
        "2 data or subtitle tracks cannot be carried by the encoder.",
    )


def test_sound_that_is_not_passed_through_is_told_as_a_loss() -> None:
    pcm = [a_sound(number=n, codec="PCM", channels=1) for n in (1, 2, 4)]
    other = a_sound(number=3, codec="UNKNOWN"), a_sound(number=5)
    assert planned(some_facts(audio=(*pcm[:2], other[0], pcm[2], other[1]))).losses == (
        "Audio tracks 1, 2, 4: PCM becomes AAC at 128 kbit/s.",
        "Audio track 3: another format becomes AAC at 256 kbit/s.",
    )


@pytest.mark.parametrize(
    ("width", "height", "losses"),
    [
        (
            5120,
            2880,
            ("The picture goes from 5120x2880 to 3840x2160, the largest the encoder makes.",),
        ),
        (1919, 1079, ()),  # to even sizes
        (3840, 2160, ()),
    ],
)
def test_a_picture_too_large_for_the_encoder_is_told_as_a_loss(
    width: int, height: int, losses: tuple[str, ...]
) -> None:
    assert planned(some_facts(video=a_video(width=width, height=height))).losses == losses


def test_one_subtitle_track_is_told_in_the_singular() -> None:
    assert planned(some_facts(data_tracks=1)).losses == (
        "1 data or subtitle track cannot be carried by the encoder.",
    )


# keep


def test_the_size_rule_keeps_smaller_files_only() -> None:
    limit = some_facts().size_bytes
    assert planned(some_facts(), compress_above_bytes=limit).route is Route.SEARCH
    reason = kept(some_facts(), compress_above_bytes=5_000_000_000)
    assert reason.startswith("Smaller than 5.0 GB,")


def test_a_size_limit_below_a_megabyte_is_readable() -> None:
    assert "Smaller than 1.5 kB," in kept(some_facts(size_bytes=999), compress_above_bytes=1500)


@pytest.mark.parametrize(
    ("video", "piece"),
    [
        (a_video(hdr="HDR10"), "HDR10 (high dynamic range)"),
        (a_video(hdr="HLG"), "HLG (high dynamic range)"),
        (a_video(width=1920, height=30), "1920x30"),
        (a_video(width=16, height=1080), "16x1080"),
        (a_video(width=8000, height=1000), "lose too much detail"),  # 4096x512 at most
        (a_video(width=500, height=5000), "lose too much detail"),
        (a_video(rotation_deg=45), "turned by 45°"),
        (a_video(rotation_deg=90, chroma="4:4:4"), "turned by 90°"),
    ],
)
def test_what_the_encoder_would_spoil_is_kept(video: object, piece: str) -> None:
    assert piece in kept(some_facts(video=video))


def test_a_turned_video_is_kept_where_the_encoder_reads_no_turn() -> None:
    # AUTO rotation reads mov and mp4 only; elsewhere the turn would be lost.
    turned = a_video(rotation_deg=90)
    assert "wrong way up" in kept(some_facts(video=turned, container="matroska"))
    assert planned(some_facts(video=turned, container="quicktime")).route is Route.SEARCH


def test_two_video_tracks_are_kept() -> None:
    assert "2 video tracks" in kept(some_facts(video_tracks=2))


@pytest.mark.parametrize("channels", [0, None, 3, 4, 5, 7, 8, 16])
def test_channels_that_aac_cannot_keep_are_kept(channels: int | None) -> None:
    fine = a_sound(codec="PCM")
    odd = a_sound(number=2, codec="PCM", channels=channels)
    reason = kept(some_facts(audio=(fine, odd)))
    assert reason.startswith("Audio track 2 ")
    assert (f"has {channels} channels" if channels else "cannot read") in reason


def test_an_already_starved_video_is_kept() -> None:
    starved = a_video(bitrate_bps=400_000)
    assert "already compressed" in kept(some_facts(video=starved, size_bytes=3_000_000))


def test_a_video_below_the_encoders_lowest_cap_is_kept() -> None:
    crawl = a_video(width=32, height=32, frame_rate=1.0, bitrate_bps=900)
    assert "already compressed" in kept(some_facts(video=crawl, size_bytes=6_750))


# reject


def test_sound_without_a_picture_is_rejected() -> None:
    facts = replace(some_facts(), video=None, video_tracks=0)
    assert "no picture" in rejected(facts)


def test_a_video_without_length_is_rejected() -> None:
    facts = some_facts(video=a_video(duration_s=None), duration_s=None)
    assert "no length" in rejected(facts)


def test_a_stream_without_length_is_encoded_under_the_cap_of_the_preset() -> None:
    """As browsers record: nobody knows the source's bitrate either."""
    video = a_video(duration_s=None, bitrate_bps=None, frame_rate=30.0)
    plan = planned(some_facts(video=video, duration_s=None, container="webm"))
    assert plan.route is Route.ENCODE
    assert (plan.max_bitrate_bps, plan.bitrate_ceiling_bps) == (12_000_000, None)
    assert "what the original has" not in " ".join(plan.reasons)
    higher = aimed_higher(plan, None, "low")
    assert higher is not None and higher.max_bitrate_bps == 18_000_000


def test_the_length_of_the_file_will_do() -> None:
    facts = some_facts(video=a_video(duration_s=None), duration_s=60.0)
    assert planned(facts).route is Route.SEARCH


def test_an_unknown_container_with_an_unknown_codec_is_rejected() -> None:
    for container in ("", "unknown"):
        facts = some_facts(container=container, video=a_video(codec="UNKNOWN"))
        assert "not a video we can read" in rejected(facts)


@pytest.mark.parametrize(("width", "height"), [(0, 0), (0, 1080), (1920, 0)])
def test_a_video_without_a_size_is_rejected(width: int, height: int) -> None:
    assert "how large" in rejected(some_facts(video=a_video(width=width, height=height)))


def test_a_broken_file_is_rejected_whatever_the_size_rule_says() -> None:
    facts = replace(some_facts(), video=None, video_tracks=0)
    plan = planned(facts, compress_above_bytes=5_000_000_000)
    assert plan.route is Route.REJECT


# raised


def test_the_next_attempt_is_one_level_higher_with_a_wider_cap() -> None:
    higher = aimed_higher(a_plan(), None, "mean SSIM 0.931 is below 0.950")
    assert higher is not None
    assert (higher.qvbr_level, higher.max_bitrate_bps) == (9, 15_000_000)
    assert higher.reasons == ("QVBR level 9: mean SSIM 0.931 is below 0.950.",)
    unchanged = {f.name for f in fields(Plan)} - {"qvbr_level", "max_bitrate_bps", "reasons"}
    assert all(getattr(higher, name) == getattr(a_plan(), name) for name in unchanged)


def test_no_level_is_above_ten() -> None:
    assert aimed_higher(a_plan(qvbr_level=10), None, "low") is None
    assert (
        aimed_higher(Plan(route=Route.KEEP, preset="balanced", reasons=("small",)), None, "low")
        is None
    )


def test_further_attempts_get_no_more_than_the_source_has() -> None:
    plan = planned(some_facts(video=a_video(bitrate_bps=12_000_000)))
    caps = [plan.max_bitrate_bps]
    while (higher := aimed_higher(plan, None, "low")) is not None:
        plan = higher
        caps.append(plan.max_bitrate_bps)
    assert caps[0] == 10_466_351
    assert caps[1:] == [12_000_000, 12_000_000]


def test_a_cap_the_preset_fixes_is_never_widened() -> None:
    higher = aimed_higher(planned(some_facts(), preset="fixed"), None, "low")
    assert higher is not None and higher.max_bitrate_bps == 5_000_000


# presets


def test_the_presets_file_names_known_fields_only() -> None:
    known = {field.name for field in fields(Preset)} - {"name"}
    for name, said in tomllib.loads((DATA / "presets.toml").read_text()).items():
        assert set(said) <= known, name


@pytest.mark.parametrize("name", list(all_presets()))
def test_presets_are_sane(name: str) -> None:
    preset = a_preset(name)
    assert preset.name == name and preset.about.endswith(".")
    assert 1 <= preset.qvbr_level <= 10
    assert 0.5 < preset.ssim_worst_floor < preset.ssim_floor < 1
    assert 1_000_000 <= preset.max_bitrate_1080p30_bps <= 50_000_000
    assert preset.tuning in (None, "MULTI_PASS_HQ")
    assert preset.codec in ("H_264", "H_265", "AV1")
    assert preset.max_short_side_px is None or preset.max_short_side_px >= 720


@pytest.mark.parametrize("name", [n for n, p in all_presets().items() if p.metric == "VMAF"])
def test_a_vmaf_preset_aims_at_vmaf_and_says_so_in_its_plan(name: str) -> None:
    preset, plan = a_preset(name), planned(some_facts(duration_s=600.0), preset=name)
    aim = Target(metric="VMAF", mean=preset.vmaf_floor or 0, worst=preset.vmaf_worst_floor)
    assert plan.target == preset.target == aim
    assert plan.search is not None and plan.search.metric == "VMAF"
    assert 90 <= plan.target.mean < 98, "hardly anything reaches 100, not even a copy"
    assert plan.ssim_floor == preset.ssim_floor, "VMAF sees no colour"


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [({"metric": "PSNR"}, "metric is one of SSIM, VMAF"), ({"metric": "VMAF"}, "vmaf_floor")],
)
def test_a_preset_without_a_target_is_refused(fields: dict[str, str], complaint: str) -> None:
    data = tomllib.loads((DATA / "presets.toml").read_text())
    with pytest.raises(ValueError, match=complaint):
        presets({"own": data["balanced"] | fields})


def test_presets_climb_from_small_to_faithful() -> None:
    ladder = [a_preset(name) for name in ("compression", "balanced", "high")]
    for rung in ("ssim_floor", "ssim_worst_floor", "qvbr_level", "max_bitrate_1080p30_bps"):
        values = [getattr(preset, rung) for preset in ladder]
        assert values == sorted(set(values)), rung


def test_the_next_attempt_at_a_frame_rate_says_it_and_changes_nothing_else() -> None:
    again = at_rate(a_plan(), "60000/1001", "9 of 90 pictures would be lost")
    assert again.reasons == ("59.94 frames a second, or else 9 of 90 pictures would be lost.",)
    assert replace(again, frame_rate=None, reasons=a_plan().reasons) == a_plan()


# the search


def test_the_plan_says_which_samples_come_first() -> None:
    plan = planned(some_facts(duration_s=600.0, video=a_video(duration_s=600.0)))
    assert plan.route is Route.SEARCH and plan.search is not None
    assert plan.search.levels == (2.0, 5.0)
    assert "22 samples, 44 s together, are encoded at levels 2 and 5 first" in plan.reasons[1]
    assert plan.qvbr_level == 8  # where it would start without


@pytest.mark.parametrize("length_s", [None, 19.9])
def test_what_is_short_or_of_unknown_length_is_not_searched(length_s: float | None) -> None:
    facts = some_facts(duration_s=length_s, container="webm", video=a_video(duration_s=length_s))
    assert planned(facts).route is Route.ENCODE


def test_the_fixed_recipe_is_not_searched() -> None:
    assert planned(some_facts(), preset="fixed").route is Route.ENCODE


# what is efficient already


def test_our_own_results_are_kept() -> None:
    assert "compressed this file before" in kept(some_facts(writer="Slimreel 1"))
    assert planned(some_facts(writer="Lavf61.1.100")).route is Route.SEARCH


@pytest.mark.parametrize(
    ("codec", "preset", "mbps", "route"),
    [
        ("AVC", "balanced", 0.7, Route.SEARCH),
        ("AVC", "balanced", 0.5, Route.KEEP),
        ("HEVC", "balanced", 0.7, Route.KEEP),  # H.264 would have to spend again what HEVC saved
        ("HEVC", "balanced-hevc", 0.7, Route.SEARCH),
        ("AV1", "balanced", 0.9, Route.KEEP),
        ("AVC", "balanced-av1", 0.5, Route.SEARCH),
    ],
)
def test_what_its_codec_has_saved_counts(
    codec: str, preset: str, mbps: float, route: Route
) -> None:
    video = a_video(codec=codec, bitrate_bps=round(mbps * 1e6))
    facts = some_facts(video=video, size_bytes=round(mbps * 1e6 * 60 / 8))
    assert planned(facts, preset=preset).route is route


# a limit of size


def long_film(hours: float, gigabytes: float) -> MediaFacts:
    length_s = hours * 3600
    return some_facts(
        duration_s=length_s,
        size_bytes=round(gigabytes * 1e9),
        video=a_video(duration_s=length_s, bitrate_bps=round(gigabytes * 8e9 / length_s)),
    )


def test_a_limit_that_cannot_bind_changes_nothing() -> None:
    facts = long_film(2, 4.9)
    assert planned(facts, max_output_bytes=5 * 10**9) == planned(facts)


def test_an_original_that_is_kept_above_the_limit_says_so() -> None:
    facts = replace(long_film(2, 6.0), writer="Slimreel 1")
    said = "At 6.0 GB it stays above the 5.0 GB this workflow allows."
    assert said in kept(facts, max_output_bytes=5 * 10**9)
    assert "allows" not in kept(facts) + kept(facts, max_output_bytes=7 * 10**9)


def test_the_recipe_without_a_search_is_bounded_where_its_cap_would_pass_the_limit() -> None:
    plan = planned(long_film(3, 20), preset="fixed", max_output_bytes=5 * 10**9)
    assert plan.max_average_bps == int(0.98 * 5e9 * 8 / 10_800 - 192_000)
    assert plan.tuning == "MULTI_PASS_HQ"
    assert "so that it fits in 5.0 GB" in plan.reasons[-1]


@pytest.mark.parametrize(("gigabytes", "route"), [(20, Route.REJECT), (0.09, Route.KEEP)])
def test_what_can_never_fit_is_said_before_money_is_spent(gigabytes: float, route: Route) -> None:
    plan = planned(
        long_film(10 if route is Route.REJECT else 0.3, gigabytes), max_output_bytes=10**8
    )
    if route is Route.REJECT:
        assert plan.route is route
        assert "cannot be brought under 100.0 MB, not even at 720 lines" in plan.reasons[0]
    else:
        assert plan.route is not Route.REJECT
