"""Verifying archives: every change is found and named, of members, of what is said of them, of who signed it."""

import base64
import hashlib
import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from conftest import Project
from exports import changed, export_of, make_keys, openssl

from bmzoo.errors import BmzooError, ConfigError, SourceError
from bmzoo.export.archive import unpacked
from bmzoo.export.attest import attested
from bmzoo.export.envelope import PAYLOAD_TYPE, sealed
from bmzoo.export.statement import ATTESTATION, stated
from bmzoo.tasks.actions.attest import archive_and_key, run_attest

NAME, PROVENANCE = "bm1688_int8_2b", "tiny_int8_2b.json"


@pytest.fixture
def archive(project: Project) -> Path:
    return export_of(project, NAME)


def refused(archive: Path, key: Path | None = None) -> SourceError:
    with pytest.raises(SourceError) as caught:
        attested(archive, "x.tar", key)
    assert caught.value.hint and "\n" not in caught.value.message
    return caught.value


def said(members: dict[str, bytes]) -> Any:
    return json.loads(base64.b64decode(json.loads(members[ATTESTATION])["payload"]))


def replaced(members: dict[str, bytes], name: str, value: Any) -> None:
    """As by somebody who packs by hand: another document, with its digest in the statement."""
    statement: Any = said(members)
    members[name] = json.dumps(value).encode()
    for one in statement["subject"]:
        one["digest"]["sha256"] = hashlib.sha256(members[one["name"]]).hexdigest()
    says(members, statement)


def says(members: dict[str, bytes], statement: Any) -> None:
    members[ATTESTATION] = sealed(json.dumps(statement).encode(), None)


def test_a_flipped_bit_is_found_in_every_member_and_the_member_is_named(archive: Path, tmp_path: Path) -> None:
    """At places all over each file: the artifact, tables, verdict, pictures, check.py, the wheel, the statement."""
    content = archive.read_bytes()
    members = unpacked(content, "x.tar")
    assert {"calibration.table", "check.py", "inputs.npz", "outputs.npz", "config.yaml"} < members.keys()
    flipped = tmp_path / "flipped.tar"
    for name, data in members.items():
        start = content.index(data, content.index(f"/{name}".encode() + b"\0"))
        for place in {0, len(data) - 1, *range(0, len(data), max(len(data) // 5, 1))}:
            broken = bytearray(content)
            broken[start + place] ^= 1 << place % 8
            flipped.write_bytes(broken)
            assert name in refused(flipped).message, (name, place)


def test_every_byte_of_the_statement_counts(archive: Path) -> None:
    """In base64 or in its JSON: what it says is computed again from the members."""
    data = unpacked(archive.read_bytes(), "x.tar")[ATTESTATION]
    for place in range(0, len(data), 41):
        broken = bytearray(data)
        broken[place] ^= 1
        other = changed(archive, lambda members, it=bytes(broken): members.update({ATTESTATION: it}))  # type: ignore[misc]
        assert refused(other).message.startswith("x.tar: ")


def test_a_verdict_that_is_said_to_be_better_is_found(archive: Path) -> None:
    def better(members: dict[str, bytes]) -> None:
        statement = said(members)
        statement["predicate"]["bmzoo_verdict"]["tensors"]["y"]["cosine"] = 0.75
        says(members, statement)

    expected = f"x.tar: {ATTESTATION}: says other than the files: predicate.bmzoo_verdict.tensors.y.cosine"
    assert refused(changed(archive, better)).message == expected


def test_an_artifact_with_the_papers_of_another_is_found_though_it_was_stated_anew(archive: Path) -> None:
    def another(members: dict[str, bytes]) -> None:
        name = next(name for name in members if name.endswith(".bmodel"))
        members[name] += b"\0"

    with pytest.raises(SourceError, match="of another artifact than tiny_int8_2b.bmodel"):
        changed(archive, another, again=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda members: members.pop("check.py"), "x.tar: not in it: check.py"),
        (lambda members: members.update(more=b"x"), "x.tar: in it, and not exported with it: more"),
        (lambda members: members.pop(ATTESTATION), "x.tar: no attestation.json in it"),
    ],
)
def test_members_that_are_missing_or_too_many(archive: Path, change: Any, message: str) -> None:
    assert refused(changed(archive, change)).message == message


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("_type",), "https://in-toto.io/Statement/v2"),
        (("predicateType",), "https://slsa.dev/provenance/v9"),
        (("predicate", "buildDefinition", "buildType"), "urn:bmzoo:export:2"),
    ],
)
def test_an_archive_of_a_newer_format_is_named(archive: Path, path: tuple[str, ...], value: str) -> None:
    def newer(members: dict[str, bytes]) -> None:
        statement: Any = said(members)
        at = statement
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value
        says(members, statement)

    error = refused(changed(archive, newer))
    assert error.message == f"x.tar: {ATTESTATION}: of a format that this bmzoo does not know: {value}"
    assert "or a newer one" in error.hint


def test_documents_that_are_json_and_nothing_else_are_told_in_a_line(archive: Path) -> None:
    values: tuple[Any, ...] = ([], {}, 1, None, "x")
    for name, value in product(("check.json", PROVENANCE, "tiny_int8_2b.verify.json"), values):
        other = changed(archive, lambda members, name=name, it=value: replaced(members, name, it))  # type: ignore[misc]
        assert refused(other).message.startswith("x.tar: "), (name, value)


def test_provenance_with_something_else_in_it_is_told_in_a_line(archive: Path) -> None:
    told = json.loads(unpacked(archive.read_bytes(), "x.tar")[PROVENANCE])
    values: tuple[Any, ...] = ([], {}, 1, None, {"deploy": []}, {"deploy": {"files": 1}})
    for key, value in product(("steps", "target", "weights", "toolchain", "sha256"), values):
        document = {**told, key: value}
        other = changed(archive, lambda members, it=document: replaced(members, PROVENANCE, it))  # type: ignore[misc]
        assert refused(other).message.startswith("x.tar: "), (key, value)


def test_what_an_archive_calls_itself_cannot_move_the_cursor(
    archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def other(members: dict[str, bytes]) -> None:
        told = {**json.loads(members["check.json"]), "target": "a\x1b[2Jb"}
        members["check.json"] = json.dumps(told).encode()

    changed(archive, other, again=True)
    run_attest(archive.parent, None, ["changed.tar"])
    assert "\x1b" not in capsys.readouterr().out


def test_a_statement_that_is_none(archive: Path) -> None:
    nothing: tuple[Any, ...] = ([], {}, {"_type": 1}, "x")
    for statement in nothing:
        other = changed(archive, lambda members, it=statement: says(members, it))  # type: ignore[misc]
        assert "not an in-toto statement" in refused(other).message


def test_a_signed_archive_and_every_way_not_to_be_one(project: Project, tmp_path: Path) -> None:
    private, public = make_keys(tmp_path)
    _, stranger = make_keys(tmp_path, "stranger")
    archive = export_of(project, NAME, private)
    found = attested(archive, "x.tar", public)
    assert found.checked in found.signers and str(found).endswith(f"signed by {found.checked[:16]}")
    assert "not checked: key=PUBLIC" in str(attested(archive, "x.tar", None))
    assert "signed by another key: " in refused(archive, stranger).message

    def resealed(members: dict[str, bytes]) -> None:
        told = json.loads(members[ATTESTATION])
        payload = base64.b64decode(told["payload"]).replace(b'"given"', b'"other"')
        told["payload"] = base64.b64encode(payload).decode()
        members[ATTESTATION] = (json.dumps(told, indent=1, sort_keys=True) + "\n").encode()

    assert "does not fit" in refused(changed(archive, resealed), public).message
    unsigned = changed(archive, lambda members: None, again=True)
    assert "not signed, and a key is named" in refused(unsigned, public).message
    assert str(attested(unsigned, "x.tar", None)).endswith("not signed")


def test_openssl_agrees_with_the_signature(project: Project, tmp_path: Path) -> None:
    """Another reader of the same formats: DSSE's encoding of what is signed, and Ed25519."""
    private, public = make_keys(tmp_path)
    told = json.loads(unpacked(export_of(project, NAME, private).read_bytes(), "x.tar")[ATTESTATION])
    payload = base64.b64decode(told["payload"])
    signed = b"DSSEv1 28 application/vnd.in-toto+json " + str(len(payload)).encode() + b" " + payload
    (tmp_path / "signed").write_bytes(signed)
    (tmp_path / "sig").write_bytes(base64.b64decode(told["signatures"][0]["sig"]))
    words = (
        "-verify",
        "-pubin",
        "-inkey",
        public,
        "-rawin",
        "-in",
        tmp_path / "signed",
        "-sigfile",
        tmp_path / "sig",
    )
    openssl("pkeyutl", *words)
    assert told["payloadType"] == PAYLOAD_TYPE


def test_what_is_no_key(project: Project, tmp_path: Path) -> None:
    private, public = make_keys(tmp_path)
    openssl("genpkey", "-algorithm", "rsa", "-out", tmp_path / "rsa.pem")
    openssl("pkey", "-in", private, "-out", tmp_path / "locked.pem", "-aes256", "-passout", "pass:x")
    (tmp_path / "text.pem").write_text("no key")
    said = {
        tmp_path / "gone.pem": "cannot be read: No such file or directory",
        tmp_path / "text.pem": "not a key of the wanted half in PEM",
        tmp_path / "rsa.pem": "not an Ed25519 key",
        tmp_path / "locked.pem": "encrypted",
        public: "not a key of the wanted half in PEM",
    }
    for key, why in said.items():
        with pytest.raises(SourceError) as caught:
            sealed(b"x", key)
        assert caught.value.message == f"{key}: {why}" and caught.value.hint
    archive = export_of(project, NAME, private)
    assert refused(archive, private).message == f"{private}: not a key of the wanted half in PEM"


def test_the_same_target_gives_the_same_archive(project: Project) -> None:
    first = export_of(project, NAME).read_bytes()
    assert export_of(project, NAME).read_bytes() == first


def test_the_statement_says_what_it_was_made_from(project: Project) -> None:
    members = unpacked(export_of(project, NAME).read_bytes(), "x.tar")
    statement = said(members)
    assert statement == stated(members)
    assert [one["name"] for one in statement["subject"]] == sorted(members.keys() - {ATTESTATION})
    build = statement["predicate"]["buildDefinition"]
    assert build["externalParameters"]["weights"] == "given"
    names = {one["name"] for one in build["resolvedDependencies"]}
    assert "import/source.onnx" in names and "simulate/pictures/00000.png" in names
    assert not {name for name in names if name.endswith(("model.bmodel", "model.mlir"))}, "made by other steps"
    assert ["model_deploy.py", "--mlir", "model.mlir"] in [
        command[:3] for command in build["internalParameters"]["steps"]["deploy"]["commands"]
    ]
    assert statement["predicate"]["runDetails"]["builder"]["version"]["toolchain"] == "fake 1"
    assert statement["predicate"]["bmzoo_verdict"]["passed"] is True


def test_the_task_takes_an_archive_and_a_key(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    private, _ = make_keys(project.root)
    archive = export_of(project, NAME, private)
    words = [str(archive.relative_to(project.root)), "key=key.pub"]
    run_attest(project.root, None, words)
    told = capsys.readouterr().out
    assert told.startswith(f"{words[0]}: tiny bm1688_int8_2b: all 12 files as they were exported, signed by ")
    run_attest(project.root, project.root / "key.pub", words[:1])
    assert capsys.readouterr().out == told


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        ([], "one archive is needed: none given", "attest ARCHIVE [key=PUBLIC.pem]"),
        (["a.tar", "b.tar"], "one archive is needed: a.tar b.tar", "attest ARCHIVE [key=PUBLIC.pem]"),
        (["--all"], "one archive is needed: --all", "attest ARCHIVE [key=PUBLIC.pem]"),
        (["a.tar", "key="], "says nothing: key=", "attest ARCHIVE [key=PUBLIC.pem]"),
        (["a.tar", "kee=x"], "not understood: kee=x", "did you mean key=x?"),
        (["a.tar", "key=x", "key=y"], "one key is enough: x y", "attest ARCHIVE [key=PUBLIC.pem]"),
        (
            ["a.tar", "yes=1"],
            "not understood: yes=1",
            "variables stand in front of the task: ./doit yes=1 TASK ...",
        ),
    ],
)
def test_words_that_are_not_understood(words: list[str], message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        archive_and_key(words)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_an_archive_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BmzooError, match=r"gone\.tar: cannot be read: No such file or directory"):
        run_attest(tmp_path, None, ["gone.tar"])
