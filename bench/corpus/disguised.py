"""What calls itself a film and is none: playlists and scripts that lead to other files and hosts,
documents, archives, and files that are two things at once.
"""

from __future__ import annotations

import base64
import gzip
import io
import random
import struct
import zipfile
from collections.abc import Callable, Iterator

from bench.corpus.film import ANY, FAILED, Film
from bench.corpus.surgery import box, edited
from bench.corpus.workshop import Workshop


def films() -> Iterator[Film]:
    yield from references()
    for name, make in _NO_FILMS.items():
        yield Film(name=name, make=make, ends=FAILED)
    yield from _two_in_one()


def references() -> Iterator[Film]:
    """Every one leads to the workshop's secret file, or to its secret address, and may not get
    there."""
    for name, text in _SCRIPTS.items():
        yield Film(name=name, make=_filled_in(text), ends=FAILED)
    yield Film(name="reference movie.mov", make=_reference_movie, ends=FAILED)
    yield Film(name="tracks in another file.mp4", make=_foreign_tracks, ends=ANY)
    yield Film(name="linked segments.mkv", make=_linked_segments, ends=ANY)
    yield Film(name="playlist behind a film's header.mp4", make=_masked_playlist, ends=FAILED)


#: {path}: the secret file; {url}: the secret address; {data}: a playlist as a data: URL.
_SCRIPTS = {
    "playlist of a file.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://{path}\n"
    "#EXT-X-ENDLIST\n",
    "playlist of a bare path.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{path}\n"
    "#EXT-X-ENDLIST\n",
    "playlist of an address.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{url}\n"
    "#EXT-X-ENDLIST\n",
    "playlist of playlists.mp4": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{url}\n"
    "#EXT-X-STREAM-INF:BANDWIDTH=2\nfile://{path}\n",
    "playlist with a key.mp4": '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="file://{path}"\n'
    "#EXTINF:2,\n{url}\n#EXT-X-ENDLIST\n",
    "playlist with a map.mp4": '#EXTM3U\n#EXT-X-MAP:URI="file://{path}"\n#EXTINF:2,\n{url}\n'
    "#EXT-X-ENDLIST\n",
    "playlist of a concat.mp4": "#EXTM3U\n#EXTINF:2,\nconcat:{path}|{path}\n#EXT-X-ENDLIST\n",
    "playlist of data.mp4": "#EXTM3U\n#EXTINF:2,\n{data}\n#EXT-X-ENDLIST\n",
    "playlist called a film of another kind.avi": "#EXTM3U\n#EXTINF:2,\nfile://{path}\n",
    "concat script.mp4": "ffconcat version 1.0\nfile '{path}'\n",
    "concat script of an address.mp4": "ffconcat version 1.0\nfile '{url}'\n",
    "concat script without its name.mp4": "file '{path}'\nfile '{path}'\n",
    "session description.mp4": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "manifest.mp4": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
    "<Period><AdaptationSet><Representation id='1' bandwidth='1'><BaseURL>{url}</BaseURL>"
    "</Representation></AdaptationSet></Period></MPD>",
    "external entity.mp4": '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file://{path}">]>'
    "<smil>&x;</smil>",
    "stream list.mp4": "[Reference]\nRef1={url}\nRef2=file://{path}\n",
    "asx list.wmv": '<ASX VERSION="3.0"><ENTRY><REF HREF="{url}"/></ENTRY></ASX>',
    "drawing.mp4": '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64">'
    '<image href="{url}" width="64" height="64"/></svg>',
    "subtitles.mp4": "1\n00:00:00,000 --> 00:00:02,000\n<font face='file://{path}'>hello</font>\n",
    "styled subtitles.mp4": "[Script Info]\nScriptType: v4.00+\nAudio File: {path}\n\n[Events]\n"
    "Dialogue: 0,0:00:00.00,0:00:02.00,,,0,0,0,,{{\\fn{path}}}hello\n",
    "subtitle index.mp4": "# VobSub index file, v7 (do not modify this line!)\nid: en, index: 0\n"
    "timestamp: 00:00:00:000, filepos: 000000000\n",
    "web page.mp4": "<!doctype html><title>a film</title><script src='{url}'></script>",
    "frame script.mp4": 'FFmpegSource2("{path}")\n',
    "pattern.mp4": "{path}%03d.png\n",
}


def _filled_in(text: str) -> Callable[[Workshop], bytes]:
    def make(shop: Workshop) -> bytes:
        inner = f"#EXTM3U\n#EXTINF:2,\nfile://{shop.secret_path}\n".encode()
        data = "data:application/vnd.apple.mpegurl;base64," + base64.b64encode(inner).decode()
        return text.format(path=shop.secret_path, url=shop.secret_url, data=data).encode()

    return make


def _reference_movie(shop: Workshop) -> bytes:
    """QuickTime's own playlist: `rmra` names another film by its address."""

    def one(address: str) -> bytes:
        raw = address.encode() + b"\0"
        return box(b"rmda", box(b"rdrf", struct.pack(">I4sI", 0, b"url ", len(raw)), raw))

    names = one(f"file://{shop.secret_path}") + one(shop.secret_url)
    return box(b"ftyp", b"qt  ", bytes(4), b"qt  ") + box(b"moov", box(b"rmra", names))


def _foreign_tracks(shop: Workshop) -> bytes:
    """A track whose samples are said to lie in another file: an alias with its path."""
    path = str(shop.secret_path).encode()
    volume = b"\x04root".ljust(28, b"\0")
    alias = struct.pack(">4sHHH", bytes(4), 150, 2, 0) + volume + bytes(10)
    name = path.rpartition(b"/")[2][:63]
    alias += bytes((len(name),)) + name.ljust(63, b"\0") + bytes(20) + bytes(4) + bytes(16)
    alias += struct.pack(">HH", 2, len(path)) + path + b"\0" * (len(path) % 2)
    alias += struct.pack(">HH", 18, len(path)) + path + b"\0" * (len(path) % 2)
    alias += struct.pack(">Hh", 0xFFFF, 0)
    reference = struct.pack(">II", 0, 1) + box(b"alis", bytes(4), alias)
    url = struct.pack(">II", 0, 1) + box(b"url ", bytes(4), f"{shop.secret_url}\0".encode())
    data = edited(shop.sound("last.mp4"), "moov/trak/mdia/minf/dinf/dref", lambda _: reference)
    return edited(data, "moov/trak.1/mdia/minf/dinf/dref", lambda _: url)


def _linked_segments(shop: Workshop) -> bytes:
    """Matroska that names the file its story goes on in."""
    data = shop.sound("film.mkv")
    info = data.index(b"\x15\x49\xa9\x66")
    name = str(shop.secret_path).encode()[:120]
    linked = b"\x3e\x83\xbb" + bytes((0x80 | len(name),)) + name  # NextFilename
    length = data[info + 4]
    if length & 0x80:  # one byte of size: as long as it still fits into two
        size = struct.pack(">H", 0x4000 | (length & 0x7F) + len(linked))
        return data[: info + 4] + size + linked + data[info + 5 :]
    size_bytes = 9 - length.bit_length()
    old = int.from_bytes(data[info + 4 : info + 4 + size_bytes], "big")
    size = (old + len(linked)).to_bytes(size_bytes, "big")
    return data[: info + 4] + size + linked + data[info + 4 + size_bytes :]


def _masked_playlist(shop: Workshop) -> bytes:
    listed = f"\n#EXTM3U\n#EXTINF:2,\nfile://{shop.secret_path}\n".encode()
    return box(b"ftyp", b"isom", bytes(4)) + listed


def _zip(shop: Workshop) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../../film.mp4", shop.sound("first.mp4"))
    return packed.getvalue()


def _gif(shop: Workshop) -> bytes:
    return shop.make("film.gif", picture="testsrc2=s=160x120:r=10:d=1", sounds=())


def _png(shop: Workshop) -> bytes:
    return shop.make("still.png", "-frames:v", "1", sounds=())


_NO_FILMS: dict[str, Callable[[Workshop], bytes]] = {
    "empty.mp4": lambda shop: b"",
    "one byte.mp4": lambda shop: b"\0",
    "seven bytes.mp4": lambda shop: b"\0\0\0\x18fty",
    "only ftyp.mp4": lambda shop: box(b"ftyp", b"isom", bytes(4)),
    "zeros.mp4": lambda shop: bytes(1_000_000),
    "noise.mp4": lambda shop: random.Random(1).randbytes(1_000_000),
    "noise.mkv": lambda shop: b"\x1a\x45\xdf\xa3" + random.Random(2).randbytes(300_000),
    "noise.avi": lambda shop: b"RIFF\0\0\1\0AVI LIST" + random.Random(3).randbytes(300_000),
    "noise.ts": lambda shop: b"".join(
        b"\x47" + random.Random(n).randbytes(187) for n in range(2_000)
    ),
    "text.mp4": lambda shop: b"This is a text file, whatever its name says.\n" * 500,
    "archive.mp4": _zip,
    "squeezed film.mp4": lambda shop: gzip.compress(shop.sound("first.mp4")),
    "program.mp4": lambda shop: b"\x7fELF\2\1\1" + bytes(500),
    "still picture.mp4": _png,
    "sound only.mp4": lambda shop: shop.sound("audio.m4a"),
    "table.mp4": lambda shop: b'{"ftyp": "isom", "moov": null}\n',
}


def _two_in_one() -> Iterator[Film]:
    """A sound film with something else before or behind it."""

    def with_film(change: Callable[[bytes, Workshop], bytes]) -> Callable[[Workshop], bytes]:
        return lambda shop: change(shop.sound("first.mp4"), shop)

    yield Film(name="film and archive.mp4", make=with_film(lambda film, shop: film + _zip(shop)))
    yield Film(
        name="film and web page.mp4",
        make=with_film(lambda film, _: box(b"free", b"<script>alert(1)</script>") + film),
    )
    yield Film(name="picture and film.mp4", make=with_film(lambda film, shop: _png(shop) + film))
    yield Film(
        name="playlist and film.mp4",
        make=with_film(
            lambda film, shop: f"#EXTM3U\n#EXTINF:2,\n{shop.secret_url}\n".encode() + film
        ),
        ends=FAILED,
    )
    yield Film(name="matroska called mp4.mp4", make=lambda shop: shop.sound("film.mkv"))
    yield Film(name="mp4 called avi.avi", make=lambda shop: shop.sound("first.mp4"))
    yield Film(name="transport stream called mov.mov", make=lambda shop: shop.sound("film.ts"))
    yield Film(name="animation called mp4.mp4", make=_gif)
