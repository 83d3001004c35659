"""Bytes of a bmodel that no tool sets are set by us, whatever memory, environment and addresses they came from."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Project

from bmzoo.commands.normalize import (
    CVIMODEL_HEADER,
    EPOCH,
    HEADER,
    HEADER_MAGIC,
    installed_schema,
    normalize,
    normalize_cvimodel,
)
from bmzoo.errors import ToolFailed
from bmzoo.execute.toolchain import LocalToolchain, find_installation
from bmzoo.plan.step import Command
from bmzoo.system import flatbuffer
from bmzoo.system.hashing import Digests, sha256
from bmzoo.workspace import Workspace

# The part of a bmodel's schema that matters here, in our own words.
SCHEMA = flatbuffer.schema(
    """
    struct Binary { start:uint64; size:uint64; }
    table Net { name:string (id: 0); code:[Binary] (id: 1); }
    table KernelModule { file_name:string (id: 0); binary:Binary (id: 1); mode:int32 (id: 2); }
    table CpuopModule { file_name:string (id: 0); binary:Binary (id: 1); }
    table Model {
        time:string (id: 2); net:[Net] (id: 4);
        kernel_module:KernelModule (id: 6); cpuop_module:CpuopModule (id: 8);
    }
    root_type Model;
    """
)
BINARY = bytes(range(256)) * 16
FIRMWARE = {"file_name": b"lib.so", "binary": (0, 64), "mode": 1}


def description(**changes: Any) -> dict[str, Any]:
    nets = [{"name": b"net", "code": [(0, 256), (256, 3840)]}]
    return {"time": b"Sat Nov 21 08:44:47 2026\n", "net": nets, **changes}


@pytest.fixture
def bmodel(tmp_path: Path) -> Path:
    return tmp_path / "model.bmodel"


def written(path: Path, values: dict[str, Any]) -> Path:
    content = flatbuffer.pack(values, SCHEMA) + bytes(40)
    path.write_bytes(
        HEADER.pack(HEADER_MAGIC, HEADER.size, len(content), len(BINARY), bytes(48)) + content + BINARY
    )
    return path


def read(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    size = HEADER.unpack_from(content)[2]
    assert content[HEADER.size + size :] == BINARY and (HEADER.size + size) % 4096 == 0
    return flatbuffer.unpack(content[HEADER.size : HEADER.size + size], SCHEMA)


def empty(**fields: Any) -> dict[str, Any]:
    return {"file_name": b"", "binary": (0, 0), **fields}


@pytest.mark.parametrize(
    "modules",
    [
        {"kernel_module": empty(), "cpuop_module": empty()},
        {"kernel_module": empty(mode=-1431655766), "cpuop_module": empty()},
        {"kernel_module": empty(mode=7, binary=(0, 0xF4DC2BF5 << 32)), "cpuop_module": empty(binary=(2**63, 1))},
    ],
)
def test_what_an_empty_module_holds_does_not_matter(modules: dict[str, Any], bmodel: Path) -> None:
    normalize(written(bmodel, description(**modules)), SCHEMA)
    assert read(bmodel) == description(time=EPOCH, kernel_module=empty(), cpuop_module=empty())
    first = bmodel.read_bytes()
    normalize(bmodel, SCHEMA)
    assert bmodel.read_bytes() == first
    other = written(bmodel.with_name("other"), description(kernel_module=empty(), cpuop_module=empty()))
    normalize(other, SCHEMA)
    assert other.read_bytes() == first


def test_a_firmware_and_what_is_not_there_stay_as_they_are(bmodel: Path) -> None:
    normalize(written(bmodel, description(kernel_module=FIRMWARE)), SCHEMA)
    assert read(bmodel) == description(time=EPOCH, kernel_module=FIRMWARE)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: content[:40], "40 bytes are too few"),
        (lambda content: b"GIF8" + content[4:], "does not begin as a bmodel does"),
        (lambda content: content[:-1], "and its header says"),
        (lambda content: content[:64] + b"\xff" * 64 + content[128:], "its description cannot be read"),
    ],
)
def test_what_is_no_bmodel_is_refused_untouched(change: Any, said: str, bmodel: Path) -> None:
    content = change(written(bmodel, description()).read_bytes())
    bmodel.write_bytes(content)
    with pytest.raises(ToolFailed, match=said):
        normalize(bmodel, SCHEMA)
    assert bmodel.read_bytes() == content


def test_a_part_beyond_the_end_of_the_file_is_refused(bmodel: Path) -> None:
    net = {"name": b"net", "code": [(0, 256), (4000, 97)]}
    with pytest.raises(ToolFailed, match="names 97 bytes at 4000 of 4096"):
        normalize(written(bmodel, description(net=[net])), SCHEMA)


def test_an_installation_without_a_schema_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "model_tool").write_bytes(b"\x7fELF")
    with pytest.raises(ToolFailed, match="model_tool: no schema of bmodels in it"):
        installed_schema(tmp_path)


def cvimodel(path: Path, time: bytes, padding: bytes = b"Cv") -> Path:
    content = b"\x20\0\0\0tables\x13\0\0\0" + time + b"\0more"
    digest = hashlib.md5(content + BINARY, usedforsecurity=False).digest()
    header = CVIMODEL_HEADER.pack(b"CviModel", len(content), 1, 4, digest, b"cv181x", padding)
    path.write_bytes(header + content + BINARY)
    return path


def test_of_a_cvimodel_only_time_checksum_and_padding_change(tmp_path: Path) -> None:
    one = cvimodel(tmp_path / "one.cvimodel", b"2026-11-26 01:41:15")
    other = cvimodel(tmp_path / "other.cvimodel", b"2027-01-02 23:59:59", b"\xff\xff")
    fixed = cvimodel(tmp_path / "fixed.cvimodel", b"1970-01-01 00:00:00", bytes(2))
    for path in (one, other):
        normalize_cvimodel(path)
        assert path.read_bytes() == fixed.read_bytes()
    normalize_cvimodel(one)
    assert one.read_bytes() == fixed.read_bytes()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: content[:40], "does not begin as a cvimodel does"),
        (lambda content: b"GIF8" + content[4:], "does not begin as a cvimodel does"),
        (lambda content: content[:-1], "its checksum is not that of its content"),
        (lambda content: content[:8] + b"\xff" * 4 + content[12:], "its checksum is not that of its content"),
    ],
)
def test_what_is_no_cvimodel_is_refused_untouched(change: Any, said: str, tmp_path: Path) -> None:
    path = cvimodel(tmp_path / "m.cvimodel", b"2026-11-26 01:41:15")
    path.write_bytes(content := change(path.read_bytes()))
    with pytest.raises(ToolFailed, match=said):
        normalize_cvimodel(path)
    assert path.read_bytes() == content


def test_a_cvimodel_without_a_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match="0 times of its making in it, and not one"):
        normalize_cvimodel(cvimodel(tmp_path / "m.cvimodel", b"not a time at all !"))


# Starts a program with address randomization as given: 0 for on, 0x0040000 (personality(2)) for off.
_START = (
    "import ctypes, os, sys; ctypes.CDLL(None).personality(int(sys.argv[1])); os.execvp(sys.argv[2], sys.argv[2:])"
)


class Perturbed(LocalToolchain):
    """The real tools; what writes a bmodel is started as another machine or user might start it: see VARIANTS."""

    perturb = "0"  # glibc's MALLOC_PERTURB_: what new and freed memory is filled with
    padding = 0  # further bytes of environment: they move the stack

    def _environment(self, command: Command, folder: Path) -> dict[str, str]:
        usual = super()._environment(command, folder)
        if command.tool not in ("model_deploy.py", "model_tool", "normalize"):
            return usual
        return {**usual, "MALLOC_PERTURB_": self.perturb, "PADDING": "x" * self.padding}


# With randomization the compiler itself may write two instructions the other way round: see supervisor.py.
VARIANTS: tuple[dict[str, str | int], ...] = ({"perturb": "255"}, {"perturb": "85", "padding": 4001})


@pytest.mark.toolchain
@pytest.mark.parametrize("name", ["bm1684_fp32_1b", "bm1684_int8_1b", "bm1688_fp32_1b"])
def test_what_the_memory_held_before_does_not_reach_a_bmodel(name: str, project: Project, tmp_path: Path) -> None:
    """Memory filled in every tool that writes the file, and environments of other lengths."""
    installation = find_installation({})
    assert installation is not None, "start the tests with ./doit test"
    digests = {}
    for place, variant in enumerate(VARIANTS):
        root = tmp_path / f"place{'-further' * place}"
        shutil.copytree(project.root / "configs", root / "configs")
        tools = Perturbed(installation, Digests(tmp_path / "digests.json"))
        for key, value in variant.items():
            setattr(tools, key, value)
        at = Workspace(root, {"BMZOO_DATA": str(project.data)}, project.report, toolchain_override=tools)
        target = at.target(name)
        digests[place] = at.builder(at.model(target)).run(at.recipe(target).deploy).files["model.bmodel"]
    assert len(set(digests.values())) == 1, digests


@pytest.mark.toolchain
def test_model_tool_writes_a_bmodel_again(tiny_bmodels: dict[str, Path], tmp_path: Path) -> None:
    """It sets no `mode` either. Ten lengths of environment, addresses at random or not, memory filled or not."""
    installation = find_installation({})
    assert installation is not None, "start the tests with ./doit test"
    schema = installed_schema(installation.root)
    tool = str(installation.root / "bin" / "model_tool")
    libraries = os.pathsep.join(str(installation.root / "lib" / sub) for sub in ("", "capi", "third_party"))
    plain = tmp_path / "plain.bmodel"
    shutil.copyfile(tiny_bmodels["bm1684_fp32"], plain)
    normalize(plain, schema)
    for number in range(10):
        for addresses in (0, 0x0040000):
            again = tmp_path / "again.bmodel"
            shutil.copyfile(tiny_bmodels["bm1684_fp32"], again)
            environment = {"LD_LIBRARY_PATH": libraries, "PADDING": "x" * 7 * number}
            if number % 2:
                environment["MALLOC_PERTURB_"] = str(85 * (number % 4))
            command = [tool, "--kernel_remove", str(again)]
            start = [sys.executable, "-I", "-S", "-c", _START, str(addresses), *command]
            subprocess.run(start, env=environment, check=True, capture_output=True)
            normalize(again, schema)
            assert sha256(again) == sha256(plain), (number, addresses)
