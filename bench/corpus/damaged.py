"""Sound films with bits turned, bytes lost and pieces missing, in every container."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bench.corpus.film import ANY, FAILED, Film
from bench.corpus.surgery import flipped, span
from bench.corpus.workshop import Workshop

_OTHERS = ("mov", "mkv", "webm", "avi", "ts", "flv", "mpg", "mxf", "wmv")


def films() -> Iterator[Film]:
    yield from _turned_bits()
    yield from _cut_off()
    for extension in _OTHERS:
        yield _turned(f"film.{extension}", seed=31, flips=40)
        yield Film(name=f"cut at 60 %.{extension}", make=_cut(f"film.{extension}", 0.6))
    yield _turned("fragments.mp4", seed=32, flips=40)
    yield Film(name="fragments, cut at 60 %.mp4", make=_cut("fragments.mp4", 0.6))


def _turned_bits() -> Iterator[Film]:
    for seed in range(1, 5):
        yield _turned_in("mdat", seed=seed, flips=1 << seed)
    for seed in range(11, 19):
        yield _turned_in("moov", seed=seed, flips=3)
    yield Film(name="a hole of zeros in the pictures.mp4", make=_zeroed)
    yield Film(name="noise for pictures.mp4", make=_noise)


def _turned(of: str, *, seed: int, flips: int) -> Film:
    def make(shop: Workshop) -> bytes:
        return flipped(shop.sound(of), seed=seed, flips=flips)

    stem, _, extension = of.rpartition(".")
    return Film(name=f"{flips} bits of {stem} turned, seed {seed}.{extension}", make=make)


def _turned_in(part: str, *, seed: int, flips: int) -> Film:
    def make(shop: Workshop) -> bytes:
        data = shop.sound("last.mp4")
        start, end = span(data, part.encode())
        return flipped(data, seed=seed, flips=flips, start=start + 8, end=end)

    return Film(name=f"{flips} bits of {part} turned, seed {seed}.mp4", make=make)


def _zeroed(shop: Workshop) -> bytes:
    data = bytearray(shop.sound("first.mp4"))
    start, end = span(bytes(data), b"mdat")
    middle = (start + end) // 2
    data[middle : middle + 20_000] = bytes(20_000)
    return bytes(data)


def _noise(shop: Workshop) -> bytes:
    data = shop.sound("first.mp4")
    start, end = span(data, b"mdat")
    return flipped(data, seed=5, flips=end - start, start=start + 8, end=end)


def _cut_off() -> Iterator[Film]:
    for share in (0.05, 0.5, 0.95):
        ends = FAILED if share < 0.9 else ANY
        yield Film(
            name=f"index first, cut at {share:.0%}.mp4", make=_cut("first.mp4", share), ends=ends
        )
    yield Film(name="index last, cut at 95 %.mp4", make=_cut("last.mp4", 0.95), ends=FAILED)
    yield Film(
        name="one byte short.mp4",
        make=lambda shop: shop.sound("first.mp4")[:-1],
    )
    yield Film(
        name="ends inside the index.mp4",
        make=lambda shop: shop.sound("first.mp4")[:600],
        ends=FAILED,
    )
    yield Film(
        name="begins in the middle.mp4",
        make=lambda shop: shop.sound("first.mp4")[30_000:],
        ends=FAILED,
    )
    yield Film(
        name="twice in a row.mp4",
        make=lambda shop: shop.sound("first.mp4") * 2,
    )


def _cut(of: str, share: float) -> Callable[[Workshop], bytes]:
    def make(shop: Workshop) -> bytes:
        data = shop.sound(of)
        return data[: int(len(data) * share)]

    return make
