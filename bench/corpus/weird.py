"""Films that are sound, and strange: what cameras, browsers and editors really make, and what a
person could. None of them is damaged, so what is published must play.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from bench.corpus.film import ANY, FAILED, KEPT, PUBLISHED, Film
from bench.corpus.workshop import AAC, H264, PICTURE, SOUND, Workshop
from chalicelib.domain.job import Status

_HISS = "anoisesrc=d=2:r=48000,aformat=channel_layouts"
_NOISE = "noise=c0s=4:c0f=t+u:all_seed=1,format=yuv420p"


def films() -> Iterator[Film]:
    yield from _times()
    yield from _pictures()
    yield from _sounds()
    yield from _tracks()
    yield from _containers()


def _film(
    name: str,
    *options: str,
    picture: str = PICTURE,
    sounds: Sequence[str] = (SOUND,),
    ends: tuple[Status, ...] = PUBLISHED,
    limit_s: float = 180.0,
) -> Film:
    def make(shop: Workshop) -> bytes:
        return shop.make(name, *options, picture=picture, sounds=sounds)

    return Film(name=name, make=make, ends=ends, limit_s=limit_s)


def _again(name: str, of: str, *options: str, ends: tuple[Status, ...] = PUBLISHED) -> Film:
    def make(shop: Workshop) -> bytes:
        return shop.remade(name, of, *options)

    return Film(name=name, make=make, ends=ends)


def _test_picture(size: str = "320x240", rate: str = "25", seconds: float = 2) -> str:
    return f"testsrc2=s={size}:r={rate}:d={seconds},{_NOISE}"


def _times() -> Iterator[Film]:
    slow = f"testsrc2=s=320x240:r=1:d=12,{_NOISE}"
    yield _film("one frame a second.mp4", *H264, *AAC, picture=slow)
    yield _film("one frame in 100 seconds.mp4", *H264, picture="color=red:s=320x240:r=1/100:d=300",
                sounds=())  # fmt: skip
    yield _film("1,000 frames a second.mp4", *H264, *AAC, "-video_track_timescale", "1000",
                picture=_test_picture(rate="1000", seconds=0.5))  # fmt: skip
    yield _film("variable frame rate.mp4", *H264, *AAC, "-fps_mode", "vfr",
                picture=f"{PICTURE},select='not(mod(n,3))+lt(n,20)'")  # fmt: skip
    yield _film("a pause of a minute.mp4", *H264, "-fps_mode", "vfr",
                picture=f"{PICTURE},setpts='PTS+gt(N,20)*60/TB'", sounds=())  # fmt: skip
    yield _film("a pause of five hours.mp4", *H264, "-fps_mode", "vfr",
                picture=f"{PICTURE},setpts='PTS+gt(N,20)*18000/TB'", sounds=(), ends=ANY,
                limit_s=300)  # fmt: skip
    yield _film("a single frame.mp4", *H264, "-frames:v", "1", sounds=())
    yield _film("two frames.mp4", *H264, "-frames:v", "2", sounds=())
    yield _again("starts three seconds late.mp4", "last.mp4", "-c", "copy", "-output_ts_offset",
                 "3")  # fmt: skip
    yield Film(name="cut with an edit list.mp4", make=_edited, ends=PUBLISHED)
    yield _film("sound that goes on for a minute.mp4", *H264, *AAC,
                sounds=("sine=440:r=48000:d=60",))  # fmt: skip
    yield _film("sound that ends at once.mp4", *H264, *AAC, sounds=("sine=440:r=48000:d=0.1",))


def _pictures() -> Iterator[Film]:
    yield _film("odd size.mp4", "-c:v", "libx264", "-crf", "4", "-pix_fmt", "yuv444p", *AAC,
                picture="testsrc2=s=161x121:r=25:d=2,noise=c0s=4:c0f=t+u:all_seed=1",
                )  # fmt: skip
    yield _film("a picture of 2x2.mp4", *H264, picture=_test_picture("2x2"), sounds=(), ends=KEPT)
    yield _film("a ribbon of 4096x32.mp4", *H264, picture=_test_picture("4096x32"), sounds=())
    yield _film("a tower of 64x3000.mp4", *H264, picture=_test_picture("64x3000"), sounds=())
    yield _film("10 bits.mp4", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "4", *AAC,
                picture=f"{_test_picture()},format=yuv422p10le")  # fmt: skip
    yield _film("pixels of 16 by 1.mp4", *H264, *AAC, picture=f"{PICTURE},setsar=16/1")
    yield Film(name="turned by 90 degrees.mp4", make=_turned(90), ends=PUBLISHED)
    yield Film(name="turned by 33 degrees.mp4", make=_turned(33))
    yield _film("lossless RGB.mp4", "-c:v", "libx264rgb", "-preset", "ultrafast", "-qp", "0",
                picture="testsrc2=s=320x240:r=25:d=1,noise=c0s=4:c0f=t+u:all_seed=1",
                sounds=())  # fmt: skip
    yield _film("pictures in PNG.mov", "-c:v", "png", picture="testsrc2=s=320x240:r=5:d=1",
                sounds=(), ends=ANY)  # fmt: skip
    yield _film("pictures in FFV1.mkv", "-c:v", "ffv1", picture=_test_picture(), sounds=(),
                ends=ANY)  # fmt: skip
    yield _film("interlaced.mp4", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "4", "-flags",
                "+ildct+ilme", *AAC, picture=f"{PICTURE},setfield=tff", ends=ANY)  # fmt: skip
    yield _film("every frame a key frame.mp4", *H264, "-g", "1", *AAC)
    yield _film("black all through.mp4", *H264, picture="color=black:s=320x240:r=25:d=4", sounds=())


def _edited(shop: Workshop) -> bytes:
    """Cut without encoding: the pictures before the cut are there, and hidden."""
    shop.sound("last.mp4")
    path = shop.folder / "edited.mp4"
    shop.ffmpeg("-ss", "0.7", "-i", shop.folder / "last.mp4", "-c", "copy", path)
    return path.read_bytes()


def _turned(degrees: int) -> Callable[[Workshop], bytes]:
    def make(shop: Workshop) -> bytes:
        shop.sound("last.mp4")
        path = shop.folder / f"turned-{degrees}.mp4"
        source = ("-display_rotation", str(degrees), "-i", shop.folder / "last.mp4")
        shop.ffmpeg(*source, "-c", "copy", path)
        return path.read_bytes()

    return make


def _sounds() -> Iterator[Film]:
    yield _film("sound at 8 kHz.mp4", *H264, *AAC, "-ar", "8000")
    yield _film("seven channels and one.mov", *H264, "-c:a", "pcm_s16le",
                sounds=(f"{_HISS}=7.1",), ends=ANY)  # fmt: skip
    yield _film("twenty-four channels.mov", *H264, "-c:a", "pcm_s16le",
                sounds=(f"{_HISS}=22.2",), ends=ANY)  # fmt: skip
    yield _film("sound in vorbis.mkv", *H264, "-c:a", "libvorbis", ends=ANY)
    yield _film("nothing but silence.mp4", *H264, *AAC, sounds=("anullsrc=r=48000:d=2",))


def _tracks() -> Iterator[Film]:
    yield _film("100 tracks of sound.mp4", *H264, "-c:a", "aac", "-b:a", "32k",
                sounds=("sine=440:r=48000:d=1",) * 100,
                picture=_test_picture(seconds=1), ends=ANY, limit_s=300)  # fmt: skip
    yield Film(name="50 tracks of pictures.mp4", make=_many_pictures, ends=KEPT)
    yield Film(name="pictures, sound, chapters, a cover.mp4", make=_dressed, ends=PUBLISHED)
    yield Film(name="names that attack.mp4", make=_named, ends=PUBLISHED)
    yield Film(name="an attached program.mkv", make=_attached, ends=ANY)
    for number, language in enumerate(
        ("zz'<b>", "q", "en-US-x-" + "a" * 200, "=1+1\n", "ZZZ", "mul")
    ):
        yield Film(name=f"a language nobody speaks, {number}.mkv", make=_speaking(language))


def _many_pictures(shop: Workshop) -> bytes:
    shop.sound("silent.mp4")
    path = shop.folder / "50.mp4"
    maps = [item for _ in range(50) for item in ("-map", "0:v")]
    shop.ffmpeg("-i", shop.folder / "silent.mp4", *maps, "-c", "copy", path)
    return path.read_bytes()


def _dressed(shop: Workshop) -> bytes:
    shop.make("cover.png", "-frames:v", "1", sounds=())
    shop.sound("last.mp4")
    notes = shop.folder / "chapters.txt"
    notes.write_text(
        ";FFMETADATA1\ntitle=A title\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=900\ntitle=One\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=900\nEND=2000\ntitle=Two\n"
    )
    path = shop.folder / "dressed.mp4"
    inputs = ("-i", shop.folder / "last.mp4", "-i", notes, "-i", shop.folder / "cover.png")
    maps = ("-map", "0", "-map", "2", "-map_metadata", "1", "-map_chapters", "1")
    cover = ("-c", "copy", "-disposition:v:1", "attached_pic")
    shop.ffmpeg(*inputs, *maps, *cover, path)
    return path.read_bytes()


def _named(shop: Workshop) -> bytes:
    """What a film says about itself goes into rows and emails."""
    said = '=HYPERLINK("http://evil.example","x")\r\nSubject: forged\n<script>alert(1)</script>'
    return shop.remade(
        "named.mp4",
        "last.mp4",
        *("-c", "copy", "-metadata", f"title={said}", "-metadata", f"comment={said * 50}"),
        *("-metadata:s:a:0", f"handler_name={said}", "-metadata:s:a:0", "language=eng"),
    )


def _speaking(language: str) -> Callable[[Workshop], bytes]:
    def make(shop: Workshop) -> bytes:
        told = ("-metadata:s:a:0", f"language={language}", "-metadata:s:a:0", f"title={language}")
        return shop.remade("speaking.mkv", "film.mkv", "-c", "copy", *told)

    return make


def _attached(shop: Workshop) -> bytes:
    program = shop.folder / "run.exe"
    program.write_bytes(b"MZ" + bytes(5_000))
    return shop.remade(
        "attached.mkv",
        "film.mkv",
        *("-c", "copy", "-attach", str(program), "-metadata:s:t", "mimetype=application/x-dosexec"),
    )


def _containers() -> Iterator[Film]:
    def sound(name: str) -> Callable[[Workshop], bytes]:
        return lambda shop: shop.sound(name)

    yield Film(name="fragments.mp4", make=sound("fragments.mp4"))
    yield Film(name="bare H.264.mp4", make=_bare, ends=ANY)
    yield _again("no time stamps.avi", "film.avi", "-c:v", "copy", "-an", "-fflags", "+bitexact")
    yield Film(name="protected.mp4", make=_protected, ends=FAILED)
    for extension in ("mov", "avi", "ts", "flv", "mpg", "mxf", "wmv"):
        yield Film(name=f"a plain one.{extension}", make=sound(f"film.{extension}"))


def _bare(shop: Workshop) -> bytes:
    shop.sound("silent.mp4")
    path = shop.folder / "bare.h264"
    shop.ffmpeg("-i", shop.folder / "silent.mp4", "-c", "copy", path)
    return path.read_bytes()


def _protected(shop: Workshop) -> bytes:
    key = "0123456789abcdef" * 2
    locked = ("-encryption_scheme", "cenc-aes-ctr", "-encryption_key", key, "-encryption_kid", key)
    return shop.remade("locked.mp4", "last.mp4", "-c", "copy", *locked)
