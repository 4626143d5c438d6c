"""The Drive stand-in dies in the middle of an act; the next process finds every file once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from slimreel.local.drive import disk
from slimreel.local.drive.library import SOMEBODY, Library
from slimreel.local.drive.records import Move, Records
from slimreel.local.drive.scan import Scanner

OLD, NEW = b"old film", b"a newer film"


class Died(BaseException):
    pass


class MortalRecords(Records):
    """Dies when told to: with the rows not yet written, or with the move done and not noted."""

    dies_at: str | None = None

    def save_move(self, move: Move) -> None:
        if self.dies_at == "before the rows":
            raise Died
        super().save_move(move)

    def forget_move(self, file_id: str) -> None:
        if self.dies_at == "after the move":
            raise Died
        super().forget_move(file_id)


class Place:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.library = self.started()

    def started(self) -> Library:
        self.records = MortalRecords(self.folder / "drive.sqlite")
        return Library(self.folder / "drive", self.records, self.folder / "vault")

    def restarted(self) -> Library:
        self.records.close()
        self.library = self.started()
        Scanner(self.library, settle_s=0).scan()
        return self.library

    def arriving(self, content: bytes) -> Path:
        path = self.library.new_temporary()
        path.write_bytes(content)
        return path

    def shown(self) -> dict[str, bytes]:
        """What Drive holds, by id, in the bin or not."""
        return {
            record.file_id: self.library.content_path(record).read_bytes()
            for record in self.records.all()
            if record.has_content
        }


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def add(place: Place) -> None:
    if "1film" not in place.shown():
        place.library.add_file(
            place.arriving(NEW), name="film.mp4", folder_id="root", who=SOMEBODY, file_id="1film"
        )


def replace(place: Place) -> None:
    place.library.replace_content("1film", place.arriving(NEW), SOMEBODY)


def put_in_bin(place: Place) -> None:
    if not place.library.get("1film").trashed:
        place.library.trash("1film")


def take_out_of_bin(place: Place) -> None:
    if place.library.get("1film").trashed:
        place.library.untrash("1film")


def nothing(place: Place) -> None:
    pass


def old_film(place: Place) -> None:
    place.library.add_file(
        place.arriving(OLD), name="film.mp4", folder_id="root", who=SOMEBODY, file_id="1film"
    )


def old_film_in_bin(place: Place) -> None:
    old_film(place)
    place.library.trash("1film")


@pytest.mark.parametrize("moment", ["before the rows", "before the move", "after the move"])
@pytest.mark.parametrize(
    ("before", "act", "content"),
    [
        (nothing, add, NEW),
        (old_film, replace, NEW),
        (old_film, put_in_bin, OLD),
        (old_film_in_bin, take_out_of_bin, OLD),
    ],
)
def test_an_act_that_is_repeated_after_a_death_was_done_once(
    before: Callable[[Place], None],
    act: Callable[[Place], None],
    content: bytes,
    moment: str,
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before(place)

    def die(source: Path, target: Path) -> None:
        raise Died

    with monkeypatch.context() as patched:
        place.records.dies_at = moment
        if moment == "before the move" and act is not replace:
            patched.setattr(disk, "move", die)
        elif moment == "before the move":
            patched.setattr(Library, "_move", lambda *_: die(Path(), Path()))
        with pytest.raises(Died):
            act(place)
    place.restarted()
    act(place)

    assert place.shown() == {"1film": content}
    place.restarted()
    assert place.shown() == {"1film": content}


def test_a_place_taken_meanwhile_is_left_to_who_took_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(source: Path, target: Path) -> None:
        raise Died

    with monkeypatch.context() as patched, pytest.raises(Died):
        patched.setattr(disk, "move", die)
        add(place)
    (place.folder / "drive" / "film.mp4").write_bytes(b"somebody else's")

    place.restarted()

    assert sorted(place.shown().values()) == sorted([NEW, b"somebody else's"])
    assert place.shown()["1film"] == NEW
