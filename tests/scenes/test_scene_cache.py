"""tools/scene_cache.py: what training reads is what was drawn, block by block."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from bmzoo.scenes import Scene, draw

TOOL = Path(__file__).parents[2] / "tools/scene_cache.py"
SIZE, FIRST = 32, 1_000_000


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("scene_cache", TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def same(one: Scene, other: Scene) -> bool:
    return all(np.array_equal(getattr(one, key), getattr(other, key)) for key in ("image", "boxes", "landmarks"))


def test_scenes_are_kept_as_they_were_drawn(tool: ModuleType, tmp_path: Path) -> None:
    tool.fill((tmp_path, SIZE, FIRST, "crowd"))
    cache = tool.SceneCache(tmp_path, SIZE)
    assert cache.grown() == tool.BLOCK
    drawn = {i: draw(FIRST + i, SIZE, SIZE, "crowd") for i in range(0, tool.BLOCK, 15)}
    assert sum(len(scene.boxes) for scene in drawn.values()) > len(drawn)  # each has its own faces, not one each
    assert all(same(cache[i], scene) for i, scene in drawn.items())


def test_blocks_that_come_later_are_found(tool: ModuleType, tmp_path: Path) -> None:
    cache = tool.SceneCache(tmp_path, SIZE)
    assert cache.grown() == 0
    scene = draw(FIRST, SIZE, SIZE)
    tool.write(tmp_path / f"{SIZE}-7.npy", [scene] * tool.BLOCK)
    (tmp_path / f"{SIZE}-8.part").write_bytes(b"interrupted")
    assert cache.grown() == tool.BLOCK and same(cache[tool.BLOCK - 1], scene)
    assert tool.SceneCache(tmp_path, 2 * SIZE).grown() == 0  # other pictures


def test_a_block_that_is_there_is_not_drawn_again(tool: ModuleType, tmp_path: Path) -> None:
    (tmp_path / f"{SIZE}-{FIRST}.npy").write_bytes(b"there")
    tool.fill((tmp_path, SIZE, FIRST, None))
    assert [path.name for path in tmp_path.iterdir()] == [f"{SIZE}-{FIRST}.npy"]


def test_seeds_of_the_evaluation_are_refused(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["scene_cache.py", str(tmp_path / "new"), "640", "1", "--first", "999999"])
    with pytest.raises(SystemExit):
        tool.main()
    assert "--first: seeds below 1000000 are not for training: 999999" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
