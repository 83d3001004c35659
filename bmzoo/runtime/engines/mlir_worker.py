"""Worker of TPU-MLIR's interpreter, pymlir: one .mlir file, one process, in an environment that mlir.py makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence

import numpy as np

from bmzoo.errors import SessionError, nearest
from bmzoo.runtime.engines.simulate import rounds
from bmzoo.runtime.engines.worker_serve import main

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from bmzoo.runtime.engines.worker_serve import Arrays


class Interpreter:
    """A top or lowered .mlir file; a damaged one ends the process inside the engine."""

    def __init__(self, model: Path) -> None:
        try:
            import pymlir  # only importable with TPU-MLIR's libraries on the linker's path
        except ImportError as error:
            raise SessionError(f"cannot be loaded: {error}") from error
        # In any other mode intermediate tensors of quantized models share memory and read as zeros.
        pymlir.set_mem_mode("value_mem")
        self._module = pymlir.module()
        self._module.load(str(model))
        if hasattr(self._module, "set_progress_silent"):  # not before 1.16
            self._module.set_progress_silent(True)

    def describe(self) -> Dict[str, Any]:
        module = self._module
        return {
            "inputs": [[name, list(module.get_tensor(name).shape)] for name in module.input_names],
            "outputs": [[name, list(module.get_tensor(name).shape)] for name in module.output_names],
            "tensors": list(module.all_tensor_names),
        }

    def run(self, feeds: Arrays, names: Optional[Sequence[str]]) -> Arrays:
        """Tensors of these names, by default the outputs, float32 and dequantized, in the order asked for."""
        module = self._module
        wanted = list(module.output_names) if names is None else list(names)
        known = list(module.all_tensor_names)
        for name in wanted:
            if name not in known:
                near = nearest(name, known)
                raise SessionError(f"no such tensor: {name}", f"did you mean `{near}`?" if near else "")
        shapes = {name: module.get_tensor(name).shape for name in module.input_names}
        collected: Dict[str, List[NDArray[np.float32]]] = {name: [] for name in wanted}
        for i in range(rounds(shapes, feeds)):
            for name, shape in shapes.items():
                part = feeds[name][i * shape[0] : (i + 1) * shape[0]]
                module.set_tensor(name, np.ascontiguousarray(part, np.float32), list(shape))
            module.invoke(True)  # True: integers to the numbers that they stand for
            for name, parts in collected.items():
                parts.append(np.atleast_1d(np.array(module.get_tensor(name), np.float32)))
        return {name: np.concatenate(parts) for name, parts in collected.items()}


if __name__ == "__main__":
    main(Interpreter)
