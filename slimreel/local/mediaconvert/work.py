"""Do one job: probe the input, decide every output, encode, measure, store.

`perform` raises for every way a job can end but well; the scheduler turns that into a state.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import imageio_ffmpeg

from slimreel.local.mediaconvert import (
    audio,
    codecs,
    encode,
    metrics,
    naming,
    reading,
    render,
    timecode,
    video,
)
from slimreel.local.mediaconvert.errors import Flaw, JobError, Unreadable
from slimreel.local.mediaconvert.job import Job
from slimreel.local.mediaconvert.source import Source
from slimreel.local.mediaconvert.stub import Stub

_ROLE = re.compile(r"^arn:aws[\w-]*:iam::(\d{12}):role/\S+$")
_DENIED = "Access Denied"
_CONTENT_TYPES = {"mp4": "video/mp4", "mov": "video/quicktime"}


class ObjectStore(Protocol):
    """The bucket side: files in, files out."""

    def object_path(self, bucket: str, key: str) -> Path:
        """Raises: KeyError, the bucket or the object does not exist."""

    def put_file(self, bucket: str, key: str, path: Path, *, content_type: str) -> None:
        """Move the file in as the object's content."""

    def has_bucket(self, bucket: str) -> bool: ...


#: Whether a role, by its ARN, may do something to an `s3://` URL: "s3:GetObject", say.
MayRole = Callable[[str, str, str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How the scheduler hears of a job under way; it emits the events."""

    opened: Callable[[str, Source], None]
    warned: Callable[[int, str], None]
    progress: Callable[[str, int, int, int], None]  # phase, job %, phase %, frames decoded


@dataclass(frozen=True, slots=True, kw_only=True)
class _Output:
    group: int
    url: str
    rendering: render.Rendering
    folder: Path


def perform(
    job: Job,
    *,
    store: ObjectStore,
    account_id: str,
    folder: Path,
    report: Report,
    stub: Stub | None = None,
    may: MayRole = lambda role, action, url: True,
) -> list[dict[str, Any]]:
    """Run a job to its end and return the `outputGroupDetails` of its COMPLETE event.

    Args:
        stub: hurries the encodes and spares those it knows.
        may: what the job's role is asked for.

    Raises:
        JobError: the job fails with a documented code.
        Stopped: it was cancelled.
    """
    _check_role(job.body["role"], account_id)
    url = job.settings["inputs"][0]["fileInput"]
    if not may(job.body["role"], "s3:GetObject", url):
        raise JobError(1401, f"Unable to open input file [{url}]: [Failed to read data: {_DENIED}]")
    source = open_input(store, url)
    report.opened(url, source)
    _check_source(source, job)
    for code, text in _remarks(source, url):
        report.warned(code, text)
    outputs = _plan(job, source, folder)
    if stub is not None:
        outputs = [replace(one, rendering=stub.hurried(one.rendering)) for one in outputs]
    _check_destinations(outputs, store, url)
    for output in outputs:
        if not may(job.body["role"], "s3:PutObject", output.url):
            said = (
                f"Unable to write to output file [{output.url}]: [Failed to write data: {_DENIED}]"
            )
            raise JobError(1401, said)
    for number, output in enumerate(outputs):
        _encode(job, output, number, len(outputs), report, stub)
    report.progress("UPLOADING", 99, 0, 0)
    return _store(outputs, store, job)


def open_input(store: ObjectStore, url: str) -> Source:
    """The described input file of a job.

    Raises:
        JobError: 1404 missing, 1010 not media, 1075 broken structure.
    """
    lead = f"Unable to open input file [{url}]"
    try:
        path = store.object_path(*naming.split(url))
    except KeyError as error:
        inner = "Can't read input stream: [Failed to read data: HeadObject failed]"
        raise JobError(1404, f"{lead}: [{inner}]") from error
    try:
        return reading.read(path)
    except Unreadable as error:
        code = 1010 if error.flaw is Flaw.NOT_MEDIA else 1075
        raise JobError(code, f"{lead}: [Failed probe/open: [{error.flaw.value}]]") from error


def _check_role(role: str, account_id: str) -> None:
    found = _ROLE.match(role)
    if found is None:
        raise JobError(1515, f"Invalid role ARN [{role}].")
    if found[1] != account_id:
        raise JobError(
            1433,
            "Unable to assume role. Check that the role exists and that MediaConvert is a trusted "
            "entity.",
        )


def _check_source(source: Source, job: Job) -> None:
    """Fail for what the service cannot decode."""
    url = job.settings["inputs"][0]["fileInput"]
    wants_video = any(
        output.get("videoDescription")
        for group in job.settings["outputGroups"]
        for output in group["outputs"]
    )
    picture = source.video
    if (picture and picture.encrypted) or any(track.encrypted for track in source.audio):
        raise JobError(
            1091, f"Your input file [{url}] is encrypted and has no decryption settings."
        )
    if not wants_video:
        return
    if picture is None or picture.frames_found == 0:
        raise JobError(
            1020, f"Your input file [{url}] doesn't have video that the transcoder can consume."
        )
    if not codecs.reads_video(source.container, picture.codec):
        raise JobError(1030, f"Video codec [{picture.codec}] is not a supported input video codec")
    if not picture.decodable:
        raise _undecodable(source, url)


def _undecodable(source: Source, url: str) -> JobError:
    if source.truncated:
        return JobError(
            1076,
            "Demuxer: [ReadPacketData File read failed - end of file hit at length "
            f"[{source.size_bytes}]. Is file truncated?]",
        )
    return JobError(
        1020, f"Your input file [{url}] doesn't have video that the transcoder can consume."
    )


def _remarks(source: Source, url: str) -> list[tuple[int, str]]:
    """Warnings every such file gets.

    Source: https://docs.aws.amazon.com/mediaconvert/latest/ug/warning_codes.html
    """
    remarks = []
    if source.truncated:
        remarks.append((220000, f"Input file [{url}] is truncated."))
    if source.video is not None and 2 in (source.video.primaries, source.video.matrix):
        remarks.append((230001, f"Input file [{url}] has no color metadata."))
    if source.video is not None and source.video.full_range is None:
        remarks.append((230005, f"Input file [{url}] has no sample range."))
    return remarks


def _plan(job: Job, source: Source, folder: Path) -> list[_Output]:
    """Raises: JobError 1040, settings that clash with the input or each other; 1060, bad clip."""
    outputs: list[_Output] = []
    for group_number, group in enumerate(job.settings["outputGroups"]):
        for settings in group["outputs"]:
            number = len(outputs) + 1
            place = folder / str(number)
            outputs.append(_plan_output(job, source, group, settings, group_number, number, place))
    _check_audio(outputs)
    return outputs


def _plan_output(
    job: Job,
    source: Source,
    group: dict[str, Any],
    settings: dict[str, Any],
    group_number: int,
    number: int,
    folder: Path,
) -> _Output:
    input_settings = job.settings["inputs"][0]
    group_settings = group["outputGroupSettings"]
    rate = source.video.rate if source.video else Fraction(100)
    clips = timecode.clips(
        input_settings,
        rate=rate,
        duration_s=source.duration_s,
        start_timecode=source.start_timecode,
    )
    picture = _plan_video(job, source, settings, group_settings, number)
    tracks = [
        audio.plan(description, input_settings, source.audio)
        for description in settings.get("audioDescriptions") or []
    ]
    heard = tuple(track for track in tracks if track is not None)
    if picture is None and not heard:
        raise JobError(1040, f"Output [{number}] has neither video nor audio.")
    container = settings["containerSettings"]
    muxer = container["container"].lower()
    options = container.get(f"{muxer}Settings") or {}
    clipped_s = float(sum(clip.duration_s for clip in clips))
    duration_s = clipped_s if clips else source.duration_s
    match = options.get("audioDuration") == "MATCH_VIDEO_DURATION" and source.video is not None
    rendering = render.Rendering(
        source=source,
        clips=clips,
        video=picture,
        audio=heard,
        output_name=f"output.{muxer}",
        muxer=muxer,
        moov_first=muxer == "mp4" and options.get("moovPlacement") != "NORMAL",
        duration_s=duration_s,
        cut_to_s=_video_end_s(source, duration_s) if match else None,
    )
    url = naming.output_url(
        group_settings["fileGroupSettings"]["destination"],
        settings,
        _variables(job, settings, picture, heard),
    )
    return _Output(group=group_number, url=url, rendering=rendering, folder=folder)


def _video_end_s(source: Source, duration_s: float) -> float:
    assert source.video is not None
    return min(duration_s, source.video.duration_s)


def _plan_video(
    job: Job, source: Source, settings: dict[str, Any], group: dict[str, Any], number: int
) -> video.VideoPlan | None:
    description = settings.get("videoDescription")
    if description is None or source.video is None:
        return None
    return video.plan(
        description,
        source.video,
        input_settings=job.settings["inputs"][0],
        container=source.container,
        number=number,
        group_metrics=tuple(group.get("perFrameMetrics") or ()),
    )


def _variables(
    job: Job,
    settings: dict[str, Any],
    picture: video.VideoPlan | None,
    heard: tuple[audio.AudioPlan, ...],
) -> naming.Variables:
    return naming.Variables(
        started=datetime.fromtimestamp(job.started_s or job.submitted_s, UTC),
        input_name=naming.input_name(job.settings["inputs"][0]["fileInput"]),
        width=picture.width if picture else 0,
        height=picture.height if picture else 0,
        frame_rate=int(picture.rate) if picture else 0,
        video_kbps=picture.cap_bps // 1000 if picture else 0,
        audio_kbps=sum(track.bitrate_bps for track in heard) // 1000,
        extension=naming.extension(settings),
    )


def _check_audio(outputs: list[_Output]) -> None:
    for output in outputs:
        for track in output.rendering.audio:
            for part in track.tracks:
                if part.codec == "unknown" or part.sample_rate_hz == 0:
                    position = output.rendering.source.audio.index(part) + 1
                    raise JobError(
                        1021,
                        "No audio frames decoded on "
                        f"[selector-(Audio Selector {position})-track-{position}-drc]",
                    )


def _check_destinations(outputs: list[_Output], store: ObjectStore, input_url: str) -> None:
    seen: set[str] = set()
    for output in outputs:
        if output.url in seen or output.url == input_url:
            raise JobError(1040, f"Duplicate output paths [{output.url}] found in input job.")
        seen.add(output.url)
        if not store.has_bucket(naming.split(output.url)[0]):
            raise JobError(
                1404,
                f"Unable to write to output file [{output.url}]: [Failed to write data: The "
                "specified bucket does not exist]",
            )


def _encode(
    job: Job, output: _Output, number: int, count: int, report: Report, stub: Stub | None
) -> None:
    output.folder.mkdir(parents=True, exist_ok=True)
    argvs = render.commands(imageio_ffmpeg.get_ffmpeg_exe(), output.rendering)
    if stub is None:
        _run_all(argvs, job, output, number, count, report)
        return
    key = stub.key(output.rendering, argvs)
    if not stub.recall(key, output.folder):
        _run_all(argvs, job, output, number, count, report)
        stub.keep(key, output.folder)


def _run_all(
    argvs: Sequence[tuple[str, ...]],
    job: Job,
    output: _Output,
    number: int,
    count: int,
    report: Report,
) -> None:
    plan = output.rendering.video
    frames_all = max(1.0, float(plan.rate) * output.rendering.duration_s) if plan else 0.0
    for step, argv in enumerate(argvs):
        before = (number + step / len(argvs)) / count
        share = 1 / (count * len(argvs))

        def on_progress(at: encode.Progress, before: float = before, share: float = share) -> None:
            if plan:
                done = at.frames / frames_all
            else:
                done = at.seconds / max(0.1, output.rendering.duration_s)
            whole = before + share * min(1.0, done)
            report.progress("TRANSCODING", int(whole * 98), int(whole * 100), at.frames)

        job.commands.append((argv, None))
        seconds = _run(argv, output, job, on_progress)
        job.commands[-1] = (argv, seconds)


def _run(
    argv: tuple[str, ...],
    output: _Output,
    job: Job,
    on_progress: Callable[[encode.Progress], None],
) -> float:
    source = output.rendering.source
    allowance = encode.Allowance.for_film(
        duration_s=source.duration_s, size_bytes=source.size_bytes
    )
    try:
        seconds, _ = encode.run(
            argv,
            work_dir=output.folder,
            stop=job.stop,
            on_progress=on_progress,
            allowance=allowance,
        )
    except encode.FfmpegTooSlow as failure:
        raise JobError(1522, f"The job timed out. [{failure}]") from failure
    except encode.FfmpegFailed as failure:
        raise _explained(failure, output) from failure
    return seconds


def _explained(failure: encode.FfmpegFailed, output: _Output) -> JobError:
    """ffmpeg's reason as a documented code; its last words stay in the message as evidence."""
    evidence = " ".join(failure.tail.split())[-400:]
    source = output.rendering.source
    if "No space left on device" in failure.tail:
        return JobError(1050, f"Disk is full. [{evidence}]")
    if "received no packets" in failure.tail or "no frames" in failure.tail.lower():
        error = _undecodable(source, f"file {source.path.name}")
        return JobError(error.code, f"{error.message} [{evidence}]")
    return JobError(1999, f"Unknown transcoder error. [{evidence}]")


def _store(outputs: list[_Output], store: ObjectStore, job: Job) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = [
        {"type": "FILE_GROUP", "outputDetails": []} for _ in job.settings["outputGroups"]
    ]
    for output in outputs:
        groups[output.group]["outputDetails"].append(_store_one(output, store))
    return groups


def _store_one(output: _Output, store: ObjectStore) -> dict[str, Any]:
    media = render.written_by(output.rendering, output.folder)
    written = reading.packets(media)
    detail: dict[str, Any] = {
        "outputFilePaths": [output.url],
        "durationInMs": round(written.duration_s * 1000),
    }
    plan = output.rendering.video
    bucket, key = naming.split(output.url)
    if plan is not None:
        detail["videoDetails"] = {
            "averageBitrate": round(written.video_bytes * 8 / max(written.duration_s, 0.001)),
            "widthInPx": plan.width,
            "heightInPx": plan.height,
            **_quality(plan, output.folder, written.shown_at),
        }
        for metric in plan.metrics:
            values = metrics.read(metric, output.folder, plan, written.shown_at)
            table = output.folder / f"{metric}.csv"
            table.write_text(metrics.as_csv(metric, values))
            name = f"{key.rpartition('.')[0]}_{metric}.csv"
            store.put_file(bucket, name, table, content_type="text/csv")
    muxer = output.rendering.muxer
    store.put_file(bucket, key, media, content_type=_CONTENT_TYPES[muxer])
    return detail


def _quality(plan: video.VideoPlan, folder: Path, shown_at: Sequence[int]) -> dict[str, Any]:
    """The qvbr members of a QVBR output's event; approximations, see `metrics.qvbr_scores`."""
    if plan.qvbr_level is None:
        return {}
    scores = metrics.qvbr_scores(folder / render.VSTATS, plan, shown_at)
    if not scores:
        return {}
    low, high = min(scores), max(scores)
    frame_ms = 1000 / plan.rate
    return {
        "qvbrAvgQuality": round(sum(scores) / len(scores), 2),
        "qvbrMinQuality": round(low, 2),
        "qvbrMaxQuality": round(high, 2),
        "qvbrMinQualityLocation": round(scores.index(low) * frame_ms),
        "qvbrMaxQualityLocation": round(scores.index(high) * frame_ms),
    }
