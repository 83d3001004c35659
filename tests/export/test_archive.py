"""Archives: the same bytes from the same members, and nothing but these taken for one."""

import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmzoo.errors import SourceError
from bmzoo.export.archive import packed, unpacked

NAMES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True)
WHOLE = packed("top", {"a.bin": bytes(range(256)) * 5, "b": b"", "check.py": b"print()\n"})


def crafted(*entries: tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for entry in entries:
            tar.addfile(entry, io.BytesIO(bytes(entry.size)))
    return out.getvalue()


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname = kind, link
    return found


@given(st.dictionaries(NAMES, st.binary(max_size=3000), min_size=1, max_size=5))
@settings(max_examples=30)
def test_what_is_packed_comes_out_again_whatever_the_order(members: dict[str, bytes]) -> None:
    content = packed("top", members)
    assert unpacked(content, "x.tar") == members
    assert packed("top", dict(reversed(members.items()))) == content


def test_the_longest_names_that_there_are_fit() -> None:
    model = "m" * 64
    name = f"{model}_bf16_1024b_2core.verify.json"
    assert unpacked(packed(f"{model}.bm1684x_bf16_1024b_2core", {name: b"x"}), "x.tar") == {name: b"x"}


def test_tar_reads_it_and_sees_neither_time_nor_owner() -> None:
    with tarfile.open(fileobj=io.BytesIO(WHOLE)) as tar:
        found = [(e.name, e.size, e.mtime, e.uid, e.uname, e.mode) for e in tar]
    assert found == [(f"top/{n}", s, 0, 0, "", 0o644) for n, s in (("a.bin", 1280), ("b", 0), ("check.py", 8))]


@pytest.mark.parametrize("length", range(0, len(WHOLE), 509))
def test_one_that_is_cut_short_is_said_to_be(length: int) -> None:
    with pytest.raises(SourceError) as caught:
        unpacked(WHOLE[:length], "x.tar")
    said = "not an archive" if length < 262 else f"x.tar: cut short, of {length} bytes only"
    assert said in caught.value.message and caught.value.hint


def test_one_cut_at_the_length_of_a_record_that_ends_with_zeros_is_cut_short() -> None:
    content = packed("top", {"a": bytes(5 * tarfile.RECORDSIZE)})
    for records in range(1, 5):
        with pytest.raises(SourceError, match="cut short"):
            unpacked(content[: records * tarfile.RECORDSIZE], "x.tar")


@pytest.mark.parametrize("place", [*range(0, 512, 7), *range(512 + 1280, len(WHOLE), 97)])
def test_every_flipped_bit_between_members_is_found(place: int) -> None:
    data = 512 <= place < 512 + 1280 or place in range(512 * 5, 512 * 5 + 8)
    for bit in (0, 3, 7):
        content = bytearray(WHOLE)
        content[place] ^= 1 << bit
        if data:
            assert unpacked(bytes(content), "x.tar").keys() == {"a.bin", "b", "check.py"}
            continue
        with pytest.raises(SourceError, match=r"^x\.tar: "):
            unpacked(bytes(content), "x.tar")


@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", "top/../../x", "top//x", "top/./x", "top/.x", "top/a b", "top/a\\b", "top/a\nb"]
)
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(SourceError, match="a name that leads elsewhere"):
        unpacked(crafted(entry(name)), "x.tar")


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_what_is_no_plain_file_is_refused(kind: bytes) -> None:
    with pytest.raises(SourceError, match="no plain file: top/x"):
        unpacked(crafted(entry("top/x", kind, "/etc/passwd")), "x.tar")


@pytest.mark.parametrize(
    ("names", "said"),
    [(["top/x", "top/x"], "there twice: x"), (["top/x", "other/y"], "not below the folder"), (["x"], "not below")],
)
def test_one_folder_holds_each_member_once(names: list[str], said: str) -> None:
    with pytest.raises(SourceError, match=said):
        unpacked(crafted(*map(entry, names)), "x.tar")


def test_what_is_behind_the_end_is_found() -> None:
    with pytest.raises(SourceError, match="damaged at byte"):
        unpacked(WHOLE + bytes(tarfile.RECORDSIZE), "x.tar")


def test_an_archive_of_another_writer_is_not_taken_for_one() -> None:
    other = entry("top/x")
    other.mtime = 1
    with pytest.raises(SourceError, match="damaged at byte"):
        unpacked(crafted(other), "x.tar")
