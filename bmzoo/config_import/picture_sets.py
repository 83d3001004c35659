"""Pictures to calibrate, to choose and to verify with: three sets that never overlap."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bmzoo.config.quantization import Calibration
from bmzoo.config.scene_sets import LINES, SceneSet
from bmzoo.config_import.draft import Draft
from bmzoo.config_import.places import Places
from bmzoo.errors import SourceError
from bmzoo.runtime.listing import READABLE_SUFFIXES, is_picture
from bmzoo.system.hashing import sha256

_MOST = {"calibration": 100, "selection": 32, "verify": 32, "named": 8, "trial": 8}
_FEWEST = 3  # one picture for each
# Folders of data by what their pictures show: to calibrate with, and for the rest.
_KNOWN: Mapping[str, Sequence[str]] = {
    "faces": ("calibration/wider_test", "selection/wider_test"),
    "objects": ("coco/calibration", "coco/selection"),
    "text": ("text",),
}


@dataclass(frozen=True)
class PictureSets:
    """Three sets, as configs write them; `selection` has none where nothing is searched.

    `some`: for trials, of those to verify with.
    """

    calibration: dict[str, Any]
    selection: dict[str, Any]
    verify: dict[str, Any]
    some: tuple[Path, ...]
    why: str

    def verified_first(self, pictures: Sequence[Path]) -> "PictureSets":
        """The same sets, verified on these of `some` first: an artifact is judged by what is found."""
        names = [picture.name for picture in pictures]
        others = [name for name in self.verify.get("first", ()) if name not in names]
        return replace(self, verify={**self.verify, "first": [*names, *others]}) if names else self


def given_sets(folders: Sequence[Path], places: Places, searches: bool, batch: int = 1) -> PictureSets:
    """Sets from folders that a person names: the first to calibrate with. `batch`: the largest of a target.

    Raises SourceError.
    """
    why = f"of the {'folders' if len(folders) > 1 else 'folder'} given"
    return _sets([(folder, _pictures(folder)) for folder in folders], places, why, searches, batch)


def known_sets(show: str, places: Places) -> PictureSets | None:
    """Sets from the folders of data, by what the pictures are to show; None where there are none."""
    paths = [places.first(name) for name in _KNOWN[show]]
    folders = [path for path in paths if path is not None]
    if len(folders) < len(paths):
        return None
    why = f"pictures of {show} among the data"
    return _sets([(folder, _pictures(folder)) for folder in folders], places, why, searches=False)


def drawn_lines(height: int, width: int) -> PictureSets | None:
    """Lines of text that are drawn, as no folder of data has any; None where a line does not fit."""
    if width < height:
        return None
    # More to verify with than are looked at: a search for float layers takes the rest too.
    drawn = ((SceneSet(height, width, seed, 32, LINES), count) for seed, count in ((1000, 32), (2000, 8)))
    calibration, verify = ({"folder": each.pictures, "count": count} for each, count in drawn)
    return PictureSets(
        *(calibration, {}, verify, ()),
        "lines of Latin letters and digits, which are drawn: figures say nothing of photographs",
    )


def put_pictures(draft: Draft, sets: PictureSets | None, searches: bool, said: str = "") -> None:
    """Write the sets into a draft, or what is missing.

    `searches`: whether float layers are searched for. `said`: what the source names, which is not here.
    """
    if sets is None:
        draft.unknown(
            "calibration.images.folder",
            f"a folder of pictures such as the network will see{said and f'; {said} is not here'}",
        )
        draft.unknown("verify.images.folder", "a folder of other pictures than those to calibrate with")
        if searches:
            draft.unknown(
                "quantization.images.folder", "a folder of pictures to choose layers by, in none of the other sets"
            )
        return
    draft.put("calibration.images", sets.calibration)
    if sets.calibration["count"] < Calibration.model_fields["minimum"].default:
        few = "there are no more: thresholds are chance with so few"
        draft.put("calibration.minimum", sets.calibration["count"], few)
    draft.put("verify.images", sets.verify)
    apart = f"{sets.calibration['count']} to calibrate, {sets.verify['count']} to verify"
    if searches:
        draft.put("quantization.images", sets.selection)
        apart += f", {sets.selection['count']} to choose by"
    draft.say("took", f"images: {apart}, none in two sets, {sets.why}")


def _pictures(folder: Path) -> list[str]:
    """Names of the pictures of a folder. Raises SourceError."""
    try:
        names = sorted(path.name for path in folder.iterdir() if is_picture(path.name) and path.is_file())
    except OSError as error:
        raise SourceError(
            f"{folder}: not a folder of pictures: {error.strerror}", "a folder of JPEG or PNG"
        ) from None
    if len(names) < _FEWEST:
        hint = f"at least {_FEWEST} in {', '.join(READABLE_SUFFIXES)}"
        raise SourceError(f"{folder}: too few pictures to keep sets apart: {len(names)}", hint)
    return names


def _sets(
    found: Sequence[tuple[Path, list[str]]], places: Places, why: str, searches: bool, batch: int = 1
) -> PictureSets:
    """The first folder is to calibrate with and the last for the rest; one that is both gives from both ends."""
    (front, all_front), (back, all_back) = found[0], found[-1]
    apart = len(found) > 1
    parts = (2 if searches else 1) if apart else 5
    share = len(all_back) // parts
    verify = max(batch, min(_MOST["verify"] if apart else _MOST["named"], share))
    selection = min(_MOST["selection"], max(1, share)) if searches else 0
    calibration = min(_MOST["calibration"], len(all_front) - (0 if apart else verify + selection))
    if calibration < 1 or verify + selection > len(all_back):
        needed = verify + selection + 1
        raise SourceError(f"{back}: too few pictures to keep sets apart: {len(all_back)}", f"at least {needed}")
    taken = {sha256(front / name) for name in all_front[:calibration]}
    others = [name for name in reversed(all_back) if sha256(back / name) not in taken]
    ours, rest = sorted(others[:verify]), sorted(others[verify : verify + selection])
    if not ours or len(rest) < selection:
        raise SourceError(f"{back}: the same pictures as in {front}", "give a folder of other pictures")
    name = places.named(back)
    # The first by name, where those are no others than are wanted: nothing needs to be listed.
    whole = apart and not searches and len(others) == len(all_back)
    shown = all_back[:verify] if whole else ours
    return PictureSets(
        {"folder": places.named(front), "count": calibration},
        {"folder": name, "count": len(rest), "first": rest},
        {"folder": name, "count": len(shown), **({} if whole else {"first": shown})},
        tuple(back / each for each in shown[:: -(-len(shown) // _MOST["trial"])]),
        why,
    )
