"""TPU-MLIR's own searches for float layers: which program runs, with which commands, and what is refused.

`PYTHONPATH=.:tests python tests/plan/test_vendor_plans.py` rewrites the golden plans; read the diff first.
"""

import tempfile
from pathlib import Path

import pytest
from vendor_searches import CONFIG, OLD, loaded

from bmzoo.config import model as config
from bmzoo.config.search_methods import LOCKED, RUN_QTABLE, SEARCH_QTABLE, method_of, why_not
from bmzoo.errors import ConfigError
from bmzoo.execute.toolchain import searches_of
from bmzoo.plan.build import recipe
from bmzoo.plan.float_layers import cut_step
from bmzoo.plan.step import Output
from bmzoo.plan.vendor_search import ranking_step as search_step
from bmzoo.plan.verify import family, lower_step
from bmzoo.target import parse
from bmzoo.tasks.actions.plan import render_recipe

PLANS = Path(__file__).parents[1] / "data" / "plans"
# Golden plan -> method, what is installed.
GOLDEN = {
    "vendor_qtable": ("vendor_qtable", LOCKED),
    "vendor_qtable_until_1.24": ("vendor_qtable", OLD),
    "vendor_sensitive_layer_until_1.24": ("vendor_sensitive_layer", OLD),
}


def rendered(plan: str, folder: Path) -> str:
    method, searches = GOLDEN[plan]
    model = loaded(folder, method, searches, "bm1684")
    name = "bm1684_int8_4b"
    return render_recipe(recipe(model, parse(name, model.name), model.config.weights[0]), name)


@pytest.mark.parametrize("plan", GOLDEN)
def test_the_plan_is_the_golden_one(plan: str, tmp_path: Path) -> None:
    assert rendered(plan, tmp_path) == (PLANS / f"{plan}.txt").read_text(encoding="utf-8")


def test_a_method_runs_the_first_of_its_programs_that_is_installed() -> None:
    assert method_of("vendor_qtable").program(LOCKED) == SEARCH_QTABLE
    assert method_of("vendor_qtable").program(OLD | LOCKED) == RUN_QTABLE
    assert method_of("vendor_sensitive_layer").program(LOCKED) is None
    assert method_of("bmzoo").program(OLD) is method_of(None).program(OLD) is None
    assert why_not("bmzoo", "bm1684", frozenset()) is None


def test_programs_are_found_where_an_installation_has_them(tmp_path: Path) -> None:
    assert searches_of(tmp_path) == frozenset()
    tools = tmp_path / "python" / "tools"
    tools.mkdir(parents=True)
    (tools / "run_calibration.py").write_text("parser.add_argument('--dataset')")
    (tools / "run_qtable.py").touch()
    assert searches_of(tmp_path) == {RUN_QTABLE}
    (tools / "run_calibration.py").write_text("choices=['search_threshold', 'search_qtable']")
    assert searches_of(tmp_path) == {RUN_QTABLE, SEARCH_QTABLE}


@pytest.mark.parametrize(
    ("method", "searches", "chips", "message", "hint"),
    [
        (
            "vendor_sensitive_layer",
            LOCKED,
            "bm1684",
            "installed TPU-MLIR has no run_sensitive_layer.py",
            "1.6 to 1.24",
        ),
        ("vendor_qtable", frozenset(), "bm1684", "has no run_qtable.py or search_qtable", "here: bmzoo"),
        (
            "vendor_sensitive_layer",
            OLD,
            "[bm1684, bm1688]",
            "does not know bm1688",
            "allowed: bmzoo, head, vendor_qtable",
        ),
        ("vendor_qtable, gain: 0.1", LOCKED, "bm1684", "search.gain: means nothing to vendor_qtable: 0.1", "leave"),
        ("vendor_qtable, metric: faces", LOCKED, "bm1684", "search.metric: means nothing", "leave it out"),
        ("vendor_table", LOCKED, "bm1684", "not supported: vendor_table", "did you mean vendor_qtable?"),
    ],
)
def test_what_cannot_be_is_refused_while_the_config_is_read(
    tmp_path: Path, method: str, searches: frozenset[str], chips: str, message: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, method, searches, chips)
    assert caught.value.message.startswith("configs/net.yaml:7:")
    assert ": quantization.search." in caught.value.message
    assert message in caught.value.message and hint in caught.value.hint


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "max_float_layers: 8",
            "max_float_layers: -1",
            "max_float_layers: input should be greater than or equal to 0: -1",
        ),
        (
            "max_float_layers: 8",
            "max_float_layers: 5000",
            "max_float_layers: input should be less than or equal to 4096",
        ),
        (
            "expected_cos: 0.9999",
            "expected_cos: 1.01",
            "expected_cos: input should be less than or equal to 1: 1.01",
        ),
        ("expected_cos: 0.9999", "expected_cos: -0.5", "expected_cos: input should be greater than or equal to 0"),
        ("calibration:", "#calibration:", "calibration: missing key: int8 and int4 targets need one"),
    ],
)
def test_settings_out_of_range_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "net.yaml"
    text = CONFIG.format(digest="a" * 64, method="vendor_qtable", chips="bm1684")
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        config.load(path, "configs/net.yaml")
    assert message in caught.value.message


def test_a_search_is_for_one_chip_and_does_not_depend_on_how_many_layers_are_asked_for(tmp_path: Path) -> None:
    model = loaded(tmp_path, "vendor_qtable", LOCKED)
    for chip in ("bm1684x", "bm1688"):
        assert family(model, parse(f"{chip}_int8_4b", "net")).chip == chip
    weights, search = model.config.weights[0], model.search(parse("bm1684_int8_1b", "net"))
    assert search is not None
    ranking = search_step(model, "bm1684", weights, search)
    more = search.model_copy(update={"max_float_layers": 12})
    assert cut_step(model, "bm1684", weights, more) != cut_step(model, "bm1684", weights, search)
    assert search_step(model, "bm1684", weights, more) == ranking
    # With `keep` every layer is wanted ranked, however good plain INT8 is.
    kept = search_step(model, "bm1684", weights, search.model_copy(update={"keep": 3}))
    assert [args[args.index("--expected_cos") + 1] for args in (s.commands[3].args for s in (ranking, kept))] == [
        "0.9999",
        "1.0",
    ]


def test_thresholds_that_a_search_changed_reach_the_compiler_with_its_layers(tmp_path: Path) -> None:
    model = loaded(tmp_path, "vendor_sensitive_layer", OLD, "bm1684")
    target, weights = parse("bm1684_int8_1b", "net"), model.config.weights[0]
    for step in (recipe(model, target, weights).deploy, lower_step(model, target, weights)):
        inputs = dict(step.inputs)
        table, layers = inputs["calibration.table"], inputs["mixed.qtable"]
        assert isinstance(table, Output) and isinstance(layers, Output)
        assert table.step == layers.step and table.step.kind == "cut"
    plain = loaded(tmp_path, "vendor_qtable", OLD, "bm1684")
    table = dict(recipe(plain, target, weights).deploy.inputs)["calibration.table"]
    assert isinstance(table, Output) and table.step.kind == "calibrate"


if __name__ == "__main__":
    for plan in GOLDEN:
        with tempfile.TemporaryDirectory() as folder:
            (PLANS / f"{plan}.txt").write_text(rendered(plan, Path(folder)), encoding="utf-8")
