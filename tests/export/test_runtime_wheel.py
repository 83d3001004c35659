"""The wheel in an archive: it is a wheel, of what pyproject.toml says, and the same every time."""

import base64
import csv
import hashlib
import io
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import tomli

import bmzoo
from bmzoo.export.wheel import runtime_wheel

ROOT = Path(__file__).parents[2]
PROJECT = tomli.loads((ROOT / "pyproject.toml").read_text())
HELD = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]


def opened() -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(runtime_wheel()[1]))


def test_it_holds_the_sources_that_stand_alone() -> None:
    with opened() as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
        assert all(archive.read(name) == (ROOT / name).read_bytes() for name in names)
    told = subprocess.run(["git", "ls-files", *HELD], cwd=ROOT, capture_output=True, text=True, check=True)
    assert sorted(names) == sorted(told.stdout.split())


def test_its_record_is_of_all_files() -> None:
    with opened() as archive:
        names = archive.namelist()
        record = next(name for name in names if name.endswith("/RECORD"))
        rows = list(csv.reader(archive.read(record).decode().splitlines()))
        assert sorted(row[0] for row in rows) == sorted(names)
        for name, digest, size in rows:
            data = archive.read(name)
            wanted = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            assert name == record or (digest, size) == (f"sha256={wanted}", str(len(data)))


def test_its_metadata_is_that_of_the_project() -> None:
    name, _ = runtime_wheel()
    assert name == f"bmzoo-{bmzoo.__version__}-py3-none-any.whl"
    with opened() as archive:
        found = Parser().parsestr(archive.read(f"bmzoo-{bmzoo.__version__}.dist-info/METADATA").decode())
    assert (found["Name"], found["Version"], found["Requires-Python"]) == ("bmzoo", bmzoo.__version__, ">=3.8")
    wanted = [*PROJECT["project"]["dependencies"], 'onnxruntime; extra == "onnx"']
    assert found.get_all("Requires-Dist") == wanted and found.get_all("Provides-Extra") == ["onnx"]


def test_it_is_the_same_every_time() -> None:
    assert runtime_wheel() == runtime_wheel()


def test_python_imports_sail_and_the_runtime_from_it(tmp_path: Path) -> None:
    name, content = runtime_wheel()
    (tmp_path / name).write_bytes(content)
    code = f"import sys; sys.path.insert(0, {str(tmp_path / name)!r}); import bmzoo.sail, bmzoo.runtime.detect"
    code += "; print(bmzoo.sail.Engine.__module__, bmzoo.__file__)"
    argv = [sys.executable, "-I", "-c", code]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == ["bmzoo.sail.engine", f"{tmp_path / name}/bmzoo/__init__.py"]
