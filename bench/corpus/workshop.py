"""Where films are made: sound ones by ffmpeg, once each, for others to be made from."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import imageio_ffmpeg

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()

#: Wasteful enough to be worth compressing, small enough to be quick.
PICTURE = "testsrc2=s=320x240:r=25:d=2,noise=c0s=4:c0f=t+u:all_seed=1,format=yuv420p"
SOUND = "sine=440:r=48000:d=2"
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "4")
AAC = ("-c:a", "aac")

#: Options of the sound films that others are made from, by name; the extension says the container.
_SOUND_FILMS: dict[str, Sequence[str]] = {
    "last.mp4": (*H264, *AAC),
    "first.mp4": (*H264, *AAC, "-movflags", "+faststart"),
    "fragments.mp4": (*H264, *AAC, "-g", "25", "-movflags", "frag_keyframe+empty_moov"),
    "film.mov": (*H264, "-c:a", "pcm_s16le"),
    "film.mkv": (*H264, *AAC),
    "film.webm": ("-c:v", "libvpx", "-b:v", "4M", "-deadline", "realtime", "-c:a", "libopus"),
    "film.avi": ("-c:v", "mpeg4", "-q:v", "2", "-c:a", "libmp3lame"),
    "film.ts": (*H264, *AAC),
    "film.flv": (*H264, *AAC),
    "film.mpg": ("-c:v", "mpeg2video", "-q:v", "2", "-c:a", "mp2"),
    "film.mxf": ("-c:v", "mpeg2video", "-q:v", "2", "-c:a", "pcm_s16le"),
    "film.wmv": ("-c:v", "wmv2", "-q:v", "2", "-c:a", "wmav2"),
    "silent.mp4": (*H264, "-an"),
    "audio.m4a": ("-vn", *AAC),
}


class Workshop:
    """A folder to make films in, and what a hostile one might reach for.

    Attributes:
        secret_path: a sound film that no other file may lead ffmpeg to.
        secret_url: the same behind HTTP.
    """

    def __init__(self, folder: Path, *, secret_path: Path, secret_url: str) -> None:
        self.folder = folder
        self.secret_path, self.secret_url = secret_path, secret_url
        folder.mkdir(parents=True, exist_ok=True)
        self.sound = cache(self._sound)

    def ffmpeg(self, *arguments: str | Path) -> None:
        """Raises: CalledProcessError: with what ffmpeg said in its `stderr`."""
        quiet = [FFMPEG, "-v", "error", "-nostdin", "-y"]
        subprocess.run([*quiet, *map(str, arguments)], check=True, capture_output=True)

    def make(
        self, name: str, *options: str, picture: str = PICTURE, sounds: Sequence[str] = (SOUND,)
    ) -> bytes:
        """A film of a test picture and tones; `options` come last."""
        inputs = [item for source in (picture, *sounds) for item in ("-f", "lavfi", "-i", source)]
        maps = [item for number in range(1 + len(sounds)) for item in ("-map", str(number))]
        path = self.folder / name
        self.ffmpeg(*inputs, *maps, *options, path)
        return path.read_bytes()

    def _sound(self, name: str) -> bytes:
        """A sound film by its name in `_SOUND_FILMS`."""
        options = _SOUND_FILMS[name]
        maps = ("-map", "0") if "-an" in options else ("-map", "1") if "-vn" in options else ()
        inputs = ["-f", "lavfi", "-i", PICTURE, "-f", "lavfi", "-i", SOUND]
        path = self.folder / name
        self.ffmpeg(*inputs, *maps, *options, path)
        return path.read_bytes()

    def remade(self, name: str, of: str, *options: str) -> bytes:
        """Sound film `of` written anew with `options`."""
        self.sound(of)
        path = self.folder / name
        self.ffmpeg("-i", self.folder / of, *options, path)
        return path.read_bytes()
