"""TPU-MLIR's own searches for float layers in tests: configs, what the programs leave, results of a search."""

from pathlib import Path

from bmzoo.config import model as config
from bmzoo.config.model import Model
from bmzoo.config.quantization import Search
from bmzoo.config.search_methods import RUN_QTABLE, RUN_SENSITIVE_LAYER
from bmzoo.plan.lowering import int8_target
from bmzoo.results import qtable
from bmzoo.tasks.guard import Task
from bmzoo.tasks.registry import TASKS
from bmzoo.tasks.row import Context
from bmzoo.workspace import Workspace

OLD = frozenset({RUN_QTABLE, RUN_SENSITIVE_LAYER})
CONFIG = """\
weights: [{{name: given, file: model.onnx, sha256: {digest}}}]
input: {{height: 32, width: 64}}
decoder: {{kind: none}}
calibration: {{images: {{folder: pictures/calibration, count: 100}}, method: mse, equalize: true, tune: 7}}
quantization:
  images: {{folder: pictures/selection}}
  search: {{method: {method}, max_float_layers: 8, expected_cos: 0.9999}}
verify: {{images: {{folder: pictures/selection}}}}
targets: [{{chip: {chips}, precision: int8, batch: [1, 4]}}]
"""
LINE = "INFO:root:the layer {} is {} sensitive layer, loss is {}, type is top.Conv"
LOG = "\n".join(
    [LINE.format("b", 0, 0.5), "other", LINE.format("a", 1, 1e-05), "INFO:root:int8 outputs_cos:0.884 old"]
)
LOSSES = "# chip: bm1684  mix_mode: F32\n###\nNo.0   : Layer: b   \t\tCos: 0.75\nNo.1   : Layer: a  \t\tCos: 1.0\n"
SEARCH = """\
quantization:
  images: {folder: pictures/selection, count: 3}
  search: {method: vendor_qtable, max_float_layers: 1}
"""


def loaded(folder: Path, method: str, searches: frozenset[str], chips: str = "[bm1684, bm1684x, bm1688]") -> Model:
    path = folder / "net.yaml"
    path.write_text(CONFIG.format(digest="a" * 64, method=method, chips=chips), encoding="utf-8")
    return config.load(path, "configs/net.yaml", searches)


def searched(at: Workspace, chip: str = "bm1684") -> tuple[Model, Search]:
    model = at.models["tiny"]
    search = model.search(int8_target(model, chip))
    assert search is not None
    return model, search


def made(at: Workspace, chip: str = "bm1684") -> str:
    model, search = searched(at, chip)
    qtable.search_layers(at, model, chip, search)
    return at.layout.qtable("tiny", "given", chip).read_text()


def subtask(at: Workspace, name: str, chip: str = "bm1684") -> Task:
    """What doit gets for the subtask of a chip."""
    [row] = [row for row in TASKS if row.name == name]
    [task] = [task for task in row.dictionaries(Context(at, TASKS)) if task["name"] == chip]
    return task


def layers(table: str) -> list[str]:
    return [line for line in table.splitlines() if not line.startswith("#")]
