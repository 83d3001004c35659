"""Evidence to make pages of, and pages read back."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from manifests import artifact

from bmzoo.release.manifest import Artifact, ZooManifest
from bmzoo.report.gather import TargetEvidence
from bmzoo.report.pictures import PictureEvidence
from bmzoo.report.profiles import NoProfile, StoredProfile, stored_profile
from bmzoo.report.rows import zoo_row

VOID = {"meta", "link", "input", "wbr"}
# What a name may hold that would be markup, and the end of every kind of element that pages have.
HOSTILE = "<img src=x onerror=\"document.title='owned'\">'</script></style></title>-->&amp;"


@dataclass
class Node:
    """An element: its attributes, its elements, and all text below it."""

    name: str
    attributes: dict[str, str | None]
    children: list["Node"] = field(default_factory=list)
    text: str = ""

    def all(self, name: str, **wanted: str) -> list["Node"]:
        """Elements of that name below it whose attributes are as wanted, in order."""
        found = []
        for child in self.children:
            same = all(
                child.attributes.get(key.rstrip("_").replace("_", "-")) == value for key, value in wanted.items()
            )
            found += [child] * (child.name == name and same)
            found += child.all(name, **wanted)
        return found

    def one(self, name: str, **wanted: str) -> "Node":
        (found,) = self.all(name, **wanted)
        return found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Node("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, dict(attrs))
        assert len(node.attributes) == len(attrs), f"an attribute twice: {attrs}"
        self.open[-1].children.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().name == tag, f"</{tag}> ends another element"

    def handle_data(self, data: str) -> None:
        for node in self.open:
            node.text += data


def read_page(text: str) -> Node:
    """The tree of a page, in which every element that is opened is closed."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert len(reader.open) == 1, f"not closed: {[node.name for node in reader.open]}"
    return reader.open[0]


def document(**more: Any) -> dict[str, Any]:
    """A profile of two layers on one core: 0.6 ms of arithmetic, 0.3 of memory."""
    core = {"cycles": 1000, "milliseconds": 1.0, "arithmetic": 0.6, "memory": 0.3, "idle": 0.4, "bytes": 3000}
    rows = [
        ("body.dw.conv", "Conv2D", 0.6, 0.6, 0.0, 0, 5, 0),
        ("body.cast", "Cast", 0.3, 0.0, 0.3, 3000, 2, 2),
    ]
    keys = ("layer", "operation", "milliseconds", "arithmetic", "memory", "bytes", "commands", "transfers")
    spans = [[0, 0, 0.1, 0.7], [1, 1, 0.0, 0.3]]
    return {
        "known": True,
        "milliseconds": 1.0,
        "cores": [{**core, "commands": 7, "flops": 10}],
        "layers": [{"core": 0, "bound": "memory", **dict(zip(keys, row, strict=True))} for row in rows],
        "timeline": {"layers": ["body.dw.conv", "body.cast"], "cores": [spans]},
        **more,
    }


def profile(**more: Any) -> StoredProfile:
    found = stored_profile(document(**more))
    assert isinstance(found, StoredProfile), found
    return found


def evidence_of(own: Artifact | None = None, **more: Any) -> TargetEvidence:
    """A verified target with a profile and nothing else."""
    own = own or artifact()
    known = {
        "provenance": {"steps": {}},
        "verified": {},
        "evaluated": {},
        "float_layers": (),
        "album": PictureEvidence(why="none"),
    }
    found = {**known, "profile": profile(), **more}
    return TargetEvidence(
        row=zoo_row(more.pop("name", str(own.target)), own, found["profile"]),
        **{k: v for k, v in found.items() if k != "name"},
    )


def manifest_of(*artifacts: Artifact, **more: Any) -> ZooManifest:
    return ZooManifest(artifacts=artifacts, **more)


NOTHING = NoProfile("the compiler writes no profile for bm1684")
