"""The reference of all configs as Markdown, from the schema that checks them.

`python -m bmzoo.config.reference > docs/config.md`
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bmzoo.chips import CHIPS
from bmzoo.config.accuracy import Thresholds
from bmzoo.config.descriptions import described_schema
from bmzoo.config.model import DECODED_INT8, DEFAULT_THRESHOLDS, FLOATS_INSIDE, SEARCH_DEFAULTS
from bmzoo.config.project import ZooConfig
from bmzoo.config.schema import ModelConfig
from bmzoo.config.targets import DEPLOY_FLAGS
from bmzoo.runtime.decoders.registry import DECODERS

Schema = Mapping[str, Any]
Row = tuple[str, ...]

HEAD = """\
# Configs

<!-- Written by `python -m bmzoo.config.reference > docs/config.md`: do not edit. -->

There are two kinds of files in `configs/`: one `<model>.yaml` for each model, which names it, and
[zoo.yaml](#configszooyaml), if there, for the whole project.
[retinaface_mobilenet0.25.yaml](../configs/retinaface_mobilenet0.25.yaml) is a complete example, from a PyTorch
checkpoint; [schema.json](../configs/schema.json) is what follows as JSON Schema, and serves editors.

A config is data: no templates, no code. Unknown and double keys, values of another type and what a chip cannot do
are errors when it is read: `file:line:column: key path: what is wrong: value`, then a hint. A broken config
stops its own model only. Words mean what YAML 1.2 says: `0640` is 640, `1e-2` a number, and `10:40`, `1_000`, `yes`
and `off` are text. Infinity and NaN are refused everywhere.

Files and folders are looked up beside the config, then below `$BMZOO_DATA`, then in `../shared/data` from the
checkout. An empty default means that nothing is set.

## The shortest config

Any ONNX file will do:

```yaml
weights:
  - {name: given, file: model.onnx, sha256: <sha256sum of the file>}
input: {height: 224, width: 224, pixel_format: rgb, mean: [123.7, 116.3, 103.5], scale: [0.0171, 0.0175, 0.0174]}
decoder: {kind: none}
calibration: {images: {folder: pictures/calibration, count: 100}}
verify: {images: {folder: pictures/other}}
targets:
  - {chip: [bm1684x, bm1688], precision: [fp16, int8], batch: [1, 4]}
  - {chip: bm1688, precision: int8, batch: 4, cores: 2}
```

The batch dimension of the model must be free: one that is baked in is refused, because some chips compile it to
wrong results silently. Pictures with ground truth are never used to calibrate or choose anything.

Sizes that the file fixes may be left out, and its type and layout are read from it. What is no picture is named,
with samples, with a distribution where there are none, or with the value that it always has:

```yaml
weights:
  - {name: given, file: voice.onnx, sha256: <sha256sum of the file>}
inputs:
  input: {samples: recordings, shape: [1, 576]}
  state: {random: {distribution: normal, std: 0.3}, shape: [2, 1, 128]}
  sr: {value: 16000}
decoder: {kind: none}
verify: {}
targets:
  - {chip: bm1688, precision: fp32}
```

What was measured on drawn values says so: in what `build` and `verify` print, in the .json beside the artifact, in
the table of results.

## What the chips can do

Boards with a chip of the family CV18xx take a `.cvimodel`. Every pair was tried: a small network compiles, and its
outputs on the simulator are those of the float network. A chip that nothing simulates needs `unverified: true` in
its entry of `targets`: then its lowering is compared with ONNX, its artifact is not, and `zoo.json`, the table of
results and the report call it unverified.
"""


def reference() -> str:
    """The whole page."""
    chips = [
        (c.name, ", ".join(c.precisions), ", ".join(map(str, c.cores)), f"`{c.suffix}`", c.unsimulated or "yes")
        for c in CHIPS.values()
    ]
    parts = [
        HEAD,
        *table(("chip", "precisions", "cores", "artifact", "simulated"), chips),
        "\n## configs/&lt;model&gt;.yaml\n",
        *sections(described_schema(ModelConfig)),
        "\n## Defaults by precision\n",
        "What `verify.thresholds` starts from; the loosest that are of use.\n",
        *table(("key", *DEFAULT_THRESHOLDS), _defaults()),
        "",
        *_by_meaning(),
        *_between_engines(),
        "\n## Defaults of the search\n",
        "What `quantization.search` starts from.\n",
        *table(("key", "default"), [(f"`{key}`", f"`{value}`") for key, value in SEARCH_DEFAULTS.items()]),
        "\n## Flags of model_deploy\n",
        f"What `targets[].deploy` may hold: {_words(DEPLOY_FLAGS)}.\n",
        "## configs/zoo.yaml\n",
        *sections(described_schema(ZooConfig)),
    ]
    return "\n".join(parts).rstrip("\n") + "\n"


def sections(schema: Schema) -> Iterator[str]:
    """The schema's own keys, then each section of it, once, below all the places where it may stand."""
    yield from _section(schema)
    for name, places in _places(schema).items():
        section = schema["$defs"][name]
        yield f"\n### {_words(places)}\n"
        yield f"{section['description']}\n"
        yield from _section(section)


def table(head: Row, rows: Sequence[Row]) -> list[str]:
    """A table in Markdown."""
    return [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)]


def _section(section: Schema) -> list[str]:
    needed = section.get("required", ())
    rows = [
        (f"`{key}`", _type(found), _default(found, key in needed), found["description"])
        for key, found in section["properties"].items()
    ]
    return table(("key", "type", "default", "what"), rows)


def _places(schema: Schema) -> dict[str, list[str]]:
    """Section -> the key paths that lead to it, in the order in which a reader meets them."""
    found: dict[str, list[str]] = {}
    waiting = [("", "")]
    while waiting:
        name, path = waiting.pop(0)
        if name:
            found.setdefault(name, []).append(path)
        section = schema["$defs"][name] if name else schema
        waiting[:0] = [
            ref for key, value in section["properties"].items() for ref in _refs(value, f"{path}.{key}".lstrip("."))
        ]
    return found


def _refs(value: Schema, path: str) -> Iterator[tuple[str, str]]:
    """Sections that a value may be: `Rule` at `verify.thresholds[]`, `Search` at `quantization.chips.*`."""
    if "$ref" in value:
        yield value["$ref"].rpartition("/")[2], path
    for option in value.get("anyOf", ()):
        yield from _refs(option, path)
    if isinstance(value.get("items"), dict):
        yield from _refs(value["items"], f"{path}[]")
    if isinstance(value.get("additionalProperties"), dict):
        yield from _refs(value["additionalProperties"], f"{path}.*")


def _type(value: Schema) -> str:
    """A type in words, with its range: `whole number, 1 to 64`."""
    if "anyOf" in value:
        return _either([option for option in value["anyOf"] if option.get("type") != "null"], value)
    if "$ref" in value:
        return "section below"
    if "const" in value or "enum" in value:
        return f"one of {_words(value['enum'])}" if "enum" in value else f"`{value['const']}`"
    return _TYPES[value["type"]](value)


def _either(options: list[Schema], value: Schema) -> str:
    """`X`, `X, or a list of such`, or `X, or Y`; null is said only where it is not the default."""
    others = ["a list of such" if o.get("items") == options[0] else _type(o) for o in options[1:]]
    said = ", or ".join([_type(options[0]), *others])
    return f"{said}, or `null`" if value.get("default") is not None and {"type": "null"} in value["anyOf"] else said


def _plural(value: Schema) -> str:
    if "prefixItems" in value:
        return f"{len(value['prefixItems'])} numbers"
    item = value["items"]
    if "$ref" in item:
        return "sections, below"
    if item.get("type") == "array":
        return f"lists of {_plural(item)}"
    most = f", {value['minItems']} to {value['maxItems']}" if "maxItems" in value else ""
    return {"integer": "whole numbers", "number": "numbers", "string": "texts"}[item["type"]] + most


def _text(value: Schema) -> str:
    pattern = f"text like `{value['pattern']}`" if "pattern" in value else "text"
    return pattern + (f", at most {value['maxLength']} characters" if "maxLength" in value else "")


def _range(value: Schema) -> str:
    low, high = value.get("minimum"), value.get("maximum", value.get("exclusiveMaximum", 0) - 1)
    if low is None:
        return ""
    return f", {low} or more" if high == -1 else f", {low:g} to {high:,}".removesuffix(".0")


_TYPES: Mapping[str, Callable[[Schema], str]] = {
    "array": lambda value: f"list of {_plural(value)}",
    "object": lambda value: f"by name: {_type(value['additionalProperties'])}",
    "string": _text,
    "integer": lambda value: f"whole number{_range(value)}",
    "number": lambda value: f"number{_range(value)}",
    "boolean": lambda value: "`true` or `false`",
}


def _default(value: Schema, needed: bool) -> str:
    if needed:
        return "needed"
    default = value.get("default")
    return "" if default is None or default == [] else f"`{json.dumps(default).strip(chr(34))}`"


def _defaults() -> list[Row]:
    found = DEFAULT_THRESHOLDS.values()
    return [(f"`{key}`", *(_number(getattr(t, key)) for t in found)) for key in Thresholds.model_fields]


def _by_meaning() -> Iterator[str]:
    share = DECODED_INT8["missed"]
    ranked = ", ".join(f"`{name}`" for name, row in DECODERS.items() if row.ranked)
    yield (
        f"`int8` with any decoder but `none` is judged by what it finds: `missed` and `extra` are {share:g}, and "
        "there is no `cosine` and no `sqnr`: most anchors of a detector see nothing, and a head may be all zeros. "
        f"With {ranked}, whose rows swap places where scores are near equal, no precision has them. What is stated "
        "wins.\n"
    )


def _between_engines() -> Iterator[str]:
    inside = FLOATS_INSIDE
    yield (
        "An `int8` or `int4` artifact that computes layers in float has other defaults for `engines`: those of "
        f"that float precision, and {inside.engines:g} with `engines_sqnr` {inside.engines_sqnr:g} where what such "
        "a layer gives is integers again. What is stated wins."
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _words(words: Any) -> str:
    return ", ".join(f"`{word}`" for word in words)


if __name__ == "__main__":
    sys.stdout.write(reference())
