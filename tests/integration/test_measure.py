"""Measure real films against real encodes of them, with a real ffmpeg."""

from __future__ import annotations

import json
import re
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chalicelib.adapters.ffmpeg import Ffmpeg, ToolFailed, ToolTimedOut
from chalicelib.domain.errors import Temporary
from chalicelib.domain.ffmpeg_output import Complaints
from chalicelib.domain.measurement import (
    Measurement,
    duration_problems,
    lost_frames,
    roomy_rate,
    track_problems,
)
from chalicelib.measuring.look import look
from chalicelib.measuring.measure import Progress, Sampling, measure
from chalicelib.measuring.workbench import Clip, Film, Workbench
from tests.made_clips import DIALOGUE, FFMPEG, MUSIC, PICTURE, encode, ffmpeg, make

TOOL = Ffmpeg(FFMPEG)
SAMPLED = Sampling(full_below_s=0, window_s=0.5, count=3)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("films")


@pytest.fixture(scope="module")
def source(place) -> Path:
    languages = ("-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=fra")
    return make(place / "source.mp4", *languages, sounds=(DIALOGUE, MUSIC))


@pytest.fixture(scope="module")
def result(place, source) -> Path:
    return encode(source, place / "result.mp4")


def clip(path: Path) -> Clip:
    return Clip(url=str(path), size_bytes=path.stat().st_size)


def measured(source: Path, result: Path, sampling: Sampling | None = None) -> Measurement:
    found = measure(TOOL, source=clip(source), result=clip(result), sampling=sampling)
    assert isinstance(found, Measurement)
    return found


def problems(found: Measurement) -> tuple[str, ...]:
    tracks = (found.source_tracks, found.result_tracks)
    return track_problems(*tracks) + duration_problems(*tracks)


def by_a_stranger(source: Path, result: Path) -> float:
    """Mean SSIM as anyone would ask ffmpeg for it."""
    command = [FFMPEG, "-i", result, "-i", source, "-lavfi", "ssim", "-f", "null", "-"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    found = re.search(r"SSIM .*All:([0-9.]+)", printed)
    assert found is not None
    return float(found[1])


def test_faithful_result_passes_every_check(source, result):
    found = measured(source, result)
    assert problems(found) == ()
    assert (found.decode_errors, found.coverage, found.notes) == (0, 1.0, ())
    assert found.score is not None
    assert found.score.frames == 60
    assert found.score.mean == pytest.approx(by_a_stranger(source, result), abs=0.0005)
    assert found.score.lowest <= found.score.worst_1_percent <= found.score.mean
    assert found.measured_by.startswith("ffmpeg ")
    assert [track.language for track in found.result_tracks] == [None, "eng", "fra"]


def test_film_compared_with_itself_is_identical(source):
    score = measured(source, source).score
    assert score is not None
    assert (score.mean, score.lowest) == (1.0, 1.0)


def test_worse_encode_scores_worse(source, result, place):
    bad = encode(source, place / "bad.mp4", "-crf", "45")
    good_score, bad_score = measured(source, result).score, measured(source, bad).score
    assert good_score is not None and bad_score is not None
    assert bad_score.mean < good_score.mean - 0.02


@pytest.mark.parametrize("sampling", [None, SAMPLED])
def test_one_wrong_frame_shows_in_the_worst_percent(place, sampling):
    """Also in the last frame of a window: every frame meets its own counterpart."""
    film = make(place / "counting.mp4", "-g", "12", seconds=3, sounds=())
    same = encode(film, place / "counting_result.mp4", "-crf", "10")
    score = measured(film, same, sampling).score
    assert score is not None
    assert score.lowest > 0.97
    blacked = "drawbox=color=black:t=fill:enable='eq(n,44)'"
    black = encode(film, place / "black.mp4", "-crf", "10", "-vf", blacked)
    score = measured(film, black, sampling).score
    assert score is not None
    assert score.lowest < 0.5 < 0.97 < score.mean + 0.05


def test_turned_phone_film_is_turned_upright(source, place):
    turned = place / "turned.mp4"
    ffmpeg("-display_rotation", "90", "-i", source, "-map", "0", "-c", "copy", turned)
    upright = encode(turned, place / "upright.mp4")
    found = measured(turned, upright)
    assert problems(found) == ()
    assert found.score is not None
    assert found.score.mean == pytest.approx(by_a_stranger(turned, upright), abs=0.0005)


def test_film_of_a_camera_with_a_time_code_track_is_compared(source, place):
    filmed = place / "A001.mov"
    coded = ("-c", "copy", "-timecode", "10:00:00:00")
    ffmpeg("-display_rotation", "90", "-i", source, "-map", "0", *coded, filmed)
    upright = encode(filmed, place / "A001_result.mp4", "-write_tmcd", "0")
    found = measured(filmed, upright)
    assert problems(found) == ()
    assert found.score is not None
    assert found.score.mean > 0.95
    assert [track.language for track in found.source_tracks] == [None, "eng", "fra"]


def test_time_stamps_of_whole_frames_do_not_shift_frames(place):
    """AVI counts in frames, and with B-frames the first one shown is not at zero."""
    coded = ("-c:v", "mpeg4", "-bf", "2", "-q:v", "2", "-c:a", "libmp3lame")
    film = make(place / "frames.avi", *coded, picture="testsrc2=s=320x240:r=24")
    encoded = encode(film, place / "frames_result.mp4", "-crf", "10")
    score = measured(film, encoded).score
    assert score is not None
    assert score.frames == 48
    assert score.lowest > 0.97


def test_other_shape_and_lost_transparency_are_found(place):
    flat = make(place / "flat.mp4", "-vf", "setsar=4/3", sounds=())
    squeezed = encode(flat, place / "squeezed.mp4", "-vf", "setsar=1")
    [problem] = problems(measured(flat, squeezed))
    assert "1.33 times as wide as high instead of 1.78" in problem
    title = make(place / "title.mov", "-c:v", "qtrle", "-pix_fmt", "argb", sounds=(), seconds=0.2)
    [problem] = problems(measured(title, encode(title, place / "title.mp4")))
    assert "alpha channel" in problem


VARIABLE = ("-vf", "select='lt(n,15)+not(mod(n,4))'", "-fps_mode", "vfr")


@pytest.mark.parametrize("options", [("-fps_mode", "vfr"), ("-fps_mode", "cfr", "-r", "30")])
@pytest.mark.parametrize("sampling", [None, SAMPLED])
def test_frames_of_unequal_length_meet_their_counterparts(place, options, sampling):
    film = make(place / "variable.mp4", *VARIABLE, seconds=3)
    encoded = encode(film, place / "variable_result.mp4", "-crf", "10", *options)
    found = measured(film, encoded, sampling)
    assert found.score is not None
    assert found.score.lowest > 0.95
    assert problems(found) == ()


def test_frames_that_a_constant_rate_has_no_room_for_are_counted(place):
    film = make(place / "uneven.mp4", *VARIABLE, seconds=3)
    slow = encode(film, place / "uneven_10.mp4", "-r", "10")
    found = measured(film, slow)
    lost = lost_frames(found.source_tracks, found.result_tracks)
    assert lost is not None and "10 of 34 pictures" in lost
    assert roomy_rate(found.source_tracks) == "30/1"
    found = measured(film, encode(film, place / "uneven_30.mp4", "-r", "30"))
    assert lost_frames(found.source_tracks, found.result_tracks) is None


def test_frame_shown_since_before_a_window_is_there_to_compare(place):
    film = make(place / "still.mp4", *VARIABLE, seconds=3)
    encoded = encode(film, place / "still_result.mp4", "-fps_mode", "cfr", "-r", "30")
    score = measured(film, encoded, SAMPLED).score
    assert score is not None
    assert score.frames == 3 * 15  # the middle window begins between two frames of the source


def test_lower_frame_rate_is_compared_at_that_rate(source, place):
    slower = encode(source, place / "slower.mp4", "-vf", "fps=15")
    found = measured(source, slower)
    assert found.score is not None
    assert found.score.frames == 30
    assert found.score.lowest > 0.9


def test_lower_resolution_is_compared_at_that_size(source, place):
    small = encode(source, place / "small.mp4", "-vf", "scale=160:120", "-crf", "12")
    score = measured(source, small).score
    assert score is not None
    assert score.mean > 0.95


def test_time_stamps_of_whole_milliseconds_do_not_shift_frames(source, place):
    webm = place / "film.mkv"
    ffmpeg("-i", source, "-map", "0", "-c", "copy", webm)
    encoded = encode(webm, place / "from_mkv.mp4")
    found = measured(webm, encoded)
    assert problems(found) == ()
    assert found.score is not None
    assert found.score.mean == pytest.approx(by_a_stranger(source, encoded), abs=0.002)


def test_one_frame_less_is_allowed_and_audio_80_ms_shorter_is_not(source, place):
    shorter = encode(source, place / "frame_short.mp4", "-frames:v", "59")
    assert problems(measured(source, shorter)) == ()
    cut = place / "audio_short.mp4"
    ffmpeg("-i", source, "-map", "0", "-c:v", "copy", "-af", "atrim=end=1.92", cut)
    assert [line.split(" lasts")[0] for line in problems(measured(source, cut))] == [
        "audio track 1",
        "audio track 2",
    ]


def test_delay_of_an_audio_encoder_is_not_taken_for_length(source, place):
    """AAC begins with 1024 samples that are never heard, PCM does not."""
    film = make(place / "pcm.mov", "-c:a", "pcm_s16le")
    found = measured(film, encode(film, place / "pcm_result.mp4"))
    ends = [(track.start_s, track.end_s) for track in found.source_tracks + found.result_tracks]
    assert ends == [(0.0, 2.0)] * 4


def test_lost_track_and_changed_language_are_found(source, place):
    lost = encode(source, place / "lost.mp4", "-map", "-0:a:1")
    assert problems(measured(source, lost)) == ("there are 1 audio tracks instead of 2",)
    other = encode(source, place / "other.mp4", "-metadata:s:a:1", "language=deu", "-ac:a:0", "2")
    assert problems(measured(source, other)) == (
        "audio track 1 has 2 channels instead of 1",
        "audio track 2 is marked deu instead of fra",
    )


def test_result_cut_off_in_the_middle_is_found(source, result, place):
    cut = place / "cut.mp4"
    cut.write_bytes(result.read_bytes()[: result.stat().st_size * 6 // 10])
    found = measured(source, cut)
    assert found.decode_errors > 0
    assert any(line.startswith("video lasts") for line in problems(found))


def spoiled(film: Path, path: Path) -> Path:
    """The same film with 400 bytes in its middle overwritten."""
    data = bytearray(film.read_bytes())
    middle = (data.index(b"mdat") + len(data)) // 2
    data[middle : middle + 400] = bytes((7 * number) % 256 for number in range(400))
    path.write_bytes(data)
    return path


def test_damage_is_found_though_ffmpeg_exits_with_zero(source, result, place):
    bad = spoiled(result, place / "spoiled.mp4")
    command = [FFMPEG, "-v", "quiet", "-i", bad, "-map", "0", "-f", "null", "-"]
    assert subprocess.run(command, check=False).returncode == 0
    found = measured(source, bad)
    assert found.decode_errors > 0
    assert found.first_errors
    assert problems(found) == ()


def test_damage_of_the_source_is_not_blamed_on_the_result(source, result, place):
    found = measured(spoiled(source, place / "spoiled_source.mp4"), result)
    assert found.decode_errors == 0
    assert found.notes == ("The original itself is damaged: it cannot be decoded without errors.",)
    assert found.score is not None


@pytest.mark.parametrize(
    "content",
    [
        b"a text file",
        b"",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nsource.mp4\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile source.mp4\n",
    ],
)
def test_result_that_is_no_film_of_its_own_is_an_error(source, place, content):
    """A playlist that names another film is no film: ffmpeg must not follow it."""
    path = place / "no_film.mp4"
    path.write_bytes(content)
    found = measured(source, path)
    assert found.decode_errors == 1
    assert found.score is None
    assert found.result_tracks == ()


def test_source_that_cannot_be_decoded_leaves_a_note(result, place):
    path = place / "strange.mxf"
    path.write_bytes(b"something only MediaConvert can read")
    found = measured(path, result)
    assert found.score is None
    assert found.decode_errors == 0
    assert found.notes[0] == "The original's video cannot be decoded."


def test_both_ends_of_a_film_tell_what_the_whole_does(source):
    bench = Workbench(TOOL, clip(source), clip(source), lambda: 60.0)
    long = make(source.parent / "long.mp4", "-crf", "40", seconds=40, picture=PICTURE + ":d=40")
    bench.source = clip(long)
    whole = look(bench, Film.SOURCE, Complaints())
    ends = look(bench, Film.SOURCE, Complaints(), ends_only=True)
    assert [track.frames for track in ends.tracks] == [None, None]
    assert [(t.start_s, t.end_s, t.frame_rate) for t in ends.tracks] == [
        (t.start_s, t.end_s, t.frame_rate) for t in whole.tracks
    ]


def test_work_goes_on_where_an_invocation_ended(source, result):
    """Every invocation has time for a single step, and nothing but JSON survives between them."""
    options = {"source": clip(source), "result": clip(result), "sampling": SAMPLED}
    progress: Progress | None = None
    invocations = 0
    while True:
        invocations += 1
        # Time for the first step; when the second asks, there is none.
        found = measure(TOOL, **options, progress=progress, remaining_s=little_time())
        if isinstance(found, Measurement):
            break
        progress = Progress.from_json(json.loads(json.dumps(found.to_json())))
    assert invocations == 6  # two looks, a place to listen to and three windows
    assert found == measured(source, result, SAMPLED)


def little_time():
    """Plenty of seconds left, until a second step asks whether to begin."""
    begun = time.monotonic()
    return lambda: 22.99 - (time.monotonic() - begun)


def test_step_that_never_fits_is_left_out_and_said(source, result, monkeypatch):
    options = {"source": clip(source), "result": clip(result), "sampling": SAMPLED}
    progress = Progress()
    for _ in range(3):
        found = measure(TOOL, **options, progress=progress, remaining_s=little_time())
        assert isinstance(found, Progress)
        progress = found
    run = TOOL.run

    def slow(arguments, **kwargs):
        if "-lavfi" in arguments and "-ss" not in arguments:
            raise ToolTimedOut(tuple(arguments), kwargs["timeout_s"])
        return run(arguments, **kwargs)

    monkeypatch.setattr(TOOL, "run", slow)
    found = measure(TOOL, **options, progress=progress)
    assert isinstance(found, Measurement)
    assert found.notes == ("Comparing the film from second 0 on took too long.",)
    assert found.score is not None
    assert 0 < found.coverage < 0.75


def test_recorded_commands_can_be_repeated_and_hold_no_address(source, result):
    found = measured(source, result)
    assert not any(str(source) in argument for command in found.commands for argument in command)
    comparison = next(command for command in found.commands if "-lavfi" in command)
    places = {"{source}": str(source), "{result}": str(result)}
    command = [FFMPEG, *(places.get(argument, argument) for argument in comparison)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert printed.count("ssim.All=") == 60


# Over HTTP


class Ranges(BaseHTTPRequestHandler):
    """Serves one folder with ranged reads, and counts the bytes it sent."""

    folder: Path
    sent = 0

    def do_GET(self) -> None:
        path = self.folder / self.path.split("?")[0].lstrip("/")
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        asked = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "bytes=0-"))
        assert asked is not None
        start, end = int(asked[1]), int(asked[2] or len(data) - 1)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{end}/{len(data)}")
        self.send_header("Content-Length", str(end - start + 1))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        try:
            self.wfile.write(data[start : end + 1])
        except (BrokenPipeError, ConnectionResetError):
            return  # ffmpeg seeks by dropping the connection
        type(self).sent += end - start + 1

    def log_message(self, *_: object) -> None:
        """Keep test output clean."""


@pytest.fixture
def address(place) -> Iterator[str]:
    Ranges.folder = place
    server = ThreadingHTTPServer(("127.0.0.1", 0), Ranges)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_films_behind_urls_are_measured_alike(source, result, address):
    found = measure(
        TOOL,
        source=Clip(url=f"{address}/source.mp4?X-Amz-Signature=secret", size_bytes=1),
        result=Clip(url=f"{address}/result.mp4?X-Amz-Signature=secret", size_bytes=1),
    )
    assert isinstance(found, Measurement)
    local = measured(source, result)
    assert (found.score, found.result_tracks) == (local.score, local.result_tracks)
    assert "secret" not in json.dumps(found.to_json())


def test_film_that_cannot_be_reached_is_tried_again_later(source, address):
    with pytest.raises(Temporary):
        measure(TOOL, source=clip(source), result=Clip(url=f"{address}/gone.mp4", size_bytes=1))


@pytest.fixture
def secure_address(place, tmp_path) -> Iterator[tuple[str, str]]:
    """An HTTPS server and the file that holds its certificate."""
    certificate = tmp_path / "certificate.pem"
    certificate.write_bytes(self_signed())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    Ranges.folder = place
    server = ThreadingHTTPServer(("127.0.0.1", 0), Ranges)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}", str(certificate)
    server.shutdown()
    server.server_close()


def self_signed() -> bytes:
    """Key and certificate for 127.0.0.1, as one PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private + signed.public_bytes(serialization.Encoding.PEM)


def test_https_is_read_only_from_whom_we_trust(source, secure_address):
    address, certificate = secure_address
    url = f"{address}/source.mp4"
    trusting = Ffmpeg(FFMPEG, ca_file=certificate)
    trusting.run([*trusting.reading(url), "-t", "0", "-f", "null", "-"], timeout_s=20)
    with pytest.raises(ToolFailed) as failure:
        at_once = TOOL.reading(url, "-reconnect_on_network_error", "0")
        TOOL.run([*at_once, "-t", "0", "-f", "null", "-"], timeout_s=20)
    assert "certificate verify failed" in str(failure.value.completed.stderr_tail)


# The tool


def test_tool_that_hangs_is_killed_with_its_children(tmp_path):
    child = tmp_path / "child"
    script = tmp_path / "ffmpeg"
    script.write_text(f"#!/bin/sh\n/bin/sleep 60 &\necho $! > {child}\nwait\n")
    script.chmod(0o755)
    begun = time.monotonic()
    with pytest.raises(ToolTimedOut):
        Ffmpeg(str(script)).run([], timeout_s=0.5)
    assert time.monotonic() - begun < 5
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", child.read_text().strip()],
        check=False,
        capture_output=True,
        text=True,
    ).stdout
    assert state[:1] in ("", "Z")  # gone, or dead and not yet taken note of


def test_failure_carries_code_and_last_words():
    with pytest.raises(ToolFailed) as failure:
        TOOL.run(["-nostdin", *TOOL.reading("/nowhere.mp4")], timeout_s=10)
    assert failure.value.completed.exit_code != 0
    assert "No such file" in str(failure.value.completed.stderr_tail)


def test_missing_tool_is_a_failure():
    with pytest.raises(ToolFailed, match="No such file"):
        Ffmpeg("/nowhere/ffmpeg").run([], timeout_s=1)


def test_name_that_looks_like_an_option_is_a_file(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("-version").write_bytes(source.read_bytes())
    with pytest.raises(ToolFailed) as failure:
        TOOL.run(["-hide_banner", *TOOL.reading("-version")], timeout_s=10)
    assert any("Duration: 00:00:02" in line for line in failure.value.completed.stderr_tail)


def test_no_credentials_reach_the_tool(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very secret")
    script = tmp_path / "ffmpeg"
    script.write_text("#!/bin/sh\n/usr/bin/env\n")
    script.chmod(0o755)
    assert "very secret" not in Ffmpeg(str(script)).run([], timeout_s=5).stdout


def test_failure_of_a_sink_is_raised_here():
    def broken(line: str) -> None:
        raise KeyError(line)

    with pytest.raises(KeyError):
        TOOL.run(["-version"], timeout_s=5, on_stdout=broken)
