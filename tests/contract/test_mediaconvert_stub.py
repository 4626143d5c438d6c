"""The hurried encoder for load tests: real files, made once per content."""

import av

from tests.contract.test_mediaconvert import Cloud, clip, ffmpeg

__all__ = ["clip"]  # a fixture

ASKED = {"QualityTuningLevel": "MULTI_PASS_HQ", "RateControlMode": "QVBR", "MaxBitrate": 900_000}


def test_a_film_is_encoded_once_and_its_twin_gets_the_same(tmp_path, clip):
    cloud = Cloud(tmp_path, encoder="stub")
    try:
        done = []
        for name in ("one.mp4", "twin.mp4"):
            job = cloud.create(cloud.add(clip, name), h264={**ASKED, "PerFrameMetrics": ["SSIM"]})
            assert cloud.wait(job["Id"])["Status"] == "COMPLETE"
            [output] = cloud.event(job["Id"], "COMPLETE")["outputGroupDetails"][0]["outputDetails"]
            [path] = output["outputFilePaths"]
            media = cloud.store.object_path("out", path.removeprefix("s3://out/"))
            done.append((cloud.service.commands(job["Id"]), media.read_bytes(), output))
        (first, film, told), (second, twin, told_again) = done
        assert "ultrafast" in first[0] and len(first) == 1
        assert second == []
        assert film == twin
        assert told["videoDetails"] == told_again["videoDetails"]
        with av.open(str(media)) as container:
            assert len(list(container.decode(video=0))) == 25
        [metrics] = media.parent.glob("*_SSIM.csv")
        assert metrics.read_text().startswith("Display_ID,Value\n0,")
    finally:
        cloud.close()


def test_other_bytes_or_other_settings_are_encoded_anew(tmp_path, clip):
    other = tmp_path / "other.mp4"
    ffmpeg("-i", str(clip), "-c", "copy", "-metadata", "title=other", str(other))
    cloud = Cloud(tmp_path, encoder="stub")
    try:
        runs = [(clip, ASKED), (other, ASKED), (clip, {**ASKED, "MaxBitrate": 800_000})]
        for number, (film, asked) in enumerate(runs):
            job = cloud.create(cloud.add(film, f"{number}.mp4"), h264=asked)
            assert cloud.wait(job["Id"])["Status"] == "COMPLETE"
            assert len(cloud.service.commands(job["Id"])) == 1
    finally:
        cloud.close()


def test_what_a_killed_process_left_is_cleared_and_what_it_finished_is_known(tmp_path, clip):
    first = Cloud(tmp_path / "one", encoder="stub")
    try:
        done = first.create(first.add(clip, "a.mp4"), h264=ASKED)["Id"]
        first.wait(done)
    finally:
        first.close()
    work = tmp_path / "one" / "work"
    half_done = work / "1-unfinished" / "1"
    half_done.mkdir(parents=True)
    (half_done / "output.mp4").write_bytes(b"half a film")
    (work / "records" / "1-unfinished.tmp").write_text("{")
    (work / "stub" / ".half-kept").mkdir()
    (tmp_path / "two").mkdir()
    work.rename(tmp_path / "two" / "work")
    second = Cloud(tmp_path / "two", encoder="stub")
    try:
        assert not half_done.parent.exists()
        kept = tmp_path / "two" / "work"
        assert {path.name for path in kept.iterdir()} == {"records", "stub"}
        assert [path.suffix for path in (kept / "records").iterdir()] == [".json"]
        again = second.create(second.add(clip, "b.mp4"), h264=ASKED)["Id"]
        assert second.wait(again)["Status"] == "COMPLETE"
        assert second.service.commands(again) == []
        assert second.client.get_job(Id=done)["Job"]["Status"] == "COMPLETE"
    finally:
        second.close()
