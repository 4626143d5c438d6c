"""Static metadata of HDR10: what ffmpeg 9.0 printed of it, and when a result's is wrong."""

from __future__ import annotations

import pytest

from chalicelib.domain.light import LightLines, light_problems

# ruff: noqa: E501 - tool output is pasted as it came
SHOWN = """\
[Parsed_showinfo_0 @ 0x7f]   side data - H.26[45] User Data Unregistered SEI message: UUID=2ca2de09
[Parsed_showinfo_0 @ 0x7f]   side data - Mastering display metadata: has_primaries:1 has_luminance:1 r(0.6800,0.3200) g(0.2650,0.6900) b(0.1500 0.0600) wp(0.3127, 0.3290) min_luminance=0.005000, max_luminance=1000.000000
[Parsed_showinfo_0 @ 0x7f]   side data - Content light level metadata: MaxCLL=1000, MaxFALL=400
      Content light level metadata: MaxCLL=9, MaxFALL=9
[Parsed_showinfo_0 @ 0x7f]   side data - Content light level metadata: MaxCLL=1, MaxFALL=1
"""


def test_the_first_picture_tells() -> None:
    lines = LightLines()
    assert lines.text is None
    for line in SHOWN.splitlines():
        lines.feed(line)
    assert lines.text is not None
    assert lines.text.startswith("MaxCLL=1000, MaxFALL=400; has_primaries:1")
    assert "max_luminance=1000.000000" in lines.text


@pytest.mark.parametrize(
    ("before", "after", "was_hdr", "is_hdr", "problem"),
    [
        ("a", "a", True, True, None),
        (None, "a", True, True, None),
        (None, None, True, True, None),
        ("a", None, True, True, "missing"),
        ("a", "b", True, True, "not the original"),
        ("a", None, True, False, None),
        ("a", "a", True, False, "still has"),
        (None, "a", False, False, "still has"),
    ],
)
def test_metadata_stays_with_hdr_and_goes_with_it(
    before: str | None, after: str | None, was_hdr: bool, is_hdr: bool, problem: str | None
) -> None:
    stays = was_hdr and is_hdr
    found = list(light_problems(before, after, stays_hdr=stays, is_hdr=is_hdr))
    assert (len(found) == 1 and problem in found[0]) if problem else found == []
