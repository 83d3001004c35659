"""Train RetinaFace (MobileNet v1 x0.25) on drawn scenes, from nothing but a seed.

Usage: python tools/train_retinaface.py FOLDER [--steps N] [--bfloat16] ...

FOLDER/scenes holds what `scene_cache.py` and `hard_scenes.py` drew: of 320x320 for three quarters of the steps
(`--fine`), of 640x640 for the last one. The state is kept in FOLDER/state.pt every few minutes; the same call goes
on from there. FOLDER/weights.pth holds the state dict to use, the running average of the weights, from the first
time on; FOLDER/log.jsonl says a line of figures every hundred steps. `tools/embedded_model.py export` makes ONNX of
weights.pth.

Needs PyTorch (1.12 or newer), numpy and OpenCV; no network, no pictures, no other weights.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, multiprocessing
from torch.utils.data import DataLoader

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from augmentation import Batches  # noqa: E402
from multibox import loss, total  # noqa: E402
from retinaface_network import RetinaFace, prepared  # noqa: E402

SMALL, LARGE = 320, 640
WARM_UP = 300  # steps
AVERAGE, AVERAGE_EVERY = 0.985, 5  # every fifth step has a share of 1.5% in the running average


class Training:
    """Network, optimizer and the running average of the weights, and what of them is kept in files."""

    def __init__(self, args: argparse.Namespace, rank: int = 0) -> None:
        torch.manual_seed(args.seed)  # all processes begin with the same weights, and change them in the same way
        self.args, self.rank = args, rank
        self.network = RetinaFace().to(memory_format=torch.channels_last).train()
        _start_unsure(self.network)
        kernels = [p for p in self.network.parameters() if p.ndim > 1]
        others = [p for p in self.network.parameters() if p.ndim == 1]
        groups = [{"params": kernels, "weight_decay": args.decay}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=args.rate)
        self.average = {key: value.clone() for key, value in self.network.state_dict().items()}
        self.step, self.seconds = 0, 0.0
        self.frozen = False
        state = args.folder / "state.pt"
        if state.exists():
            self._resume(torch.load(state, map_location="cpu"))

    def run(self) -> None:
        """All steps that are left."""
        saved = mark = time.monotonic()
        sums: dict[str, float] = {}
        size = 0
        batches: Iterator[tuple[Tensor, ...]] = iter(())
        while self.step < self.args.steps:
            if self.args.freeze is not None and self.step >= self.args.freeze and not self.frozen:
                self._freeze()
            if size != self._size():
                size = self._size()
                batches = self._batches(size)
            for key, value in self._train(*next(batches)).items():
                sums[key] = sums.get(key, 0.0) + value
            last = self.step == self.args.steps
            if last or self.step % 100 == 0 or time.monotonic() - saved > 60 * self.args.minutes:
                self.seconds, mark = self.seconds + time.monotonic() - mark, time.monotonic()
            if self.step % 100 == 0:
                self._note({"size": size, **{key: round(value / 100, 4) for key, value in sums.items()}})
                sums = {}
            if last or time.monotonic() - saved > 60 * self.args.minutes:
                self._save()
                saved = time.monotonic()

    def _train(self, images: Tensor, *targets: Tensor) -> dict[str, float]:
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.args.bfloat16):
            boxes, classes, landmarks = self.network(prepared(images))
        terms = loss((boxes.float(), classes.float(), landmarks.float()), *targets)
        self.optimizer.zero_grad()
        total(terms).backward()
        self._share()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)
        self.optimizer.step()
        self.step += 1
        if self.step % AVERAGE_EVERY == 0:
            self._remember()
        return {key: float(value.detach()) for key, value in terms.items()}

    def _freeze(self) -> None:
        """Go on from the average of the weights, and normalize as the exported model does, by running averages.

        A batch holds two pictures of 640x640 a process: what such a batch tells of mean and variance is noise that
        the exported model does not have, and whatever makes up for it is in the way there.
        """
        if self.step == self.args.freeze:
            self.network.load_state_dict(self.average)
        if self.args.processes > 1:  # each process had running averages of its own pictures
            for buffer in self.network.buffers():
                distributed.broadcast(buffer, 0)
        for module in self.network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()
        self.frozen = True

    def _share(self) -> None:
        """Every process goes on with the mean of all their gradients."""
        if self.args.processes == 1:
            return
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        together = torch.cat([gradient.reshape(-1) for gradient in gradients])
        distributed.all_reduce(together)
        together /= self.args.processes
        for gradient, mean in zip(gradients, together.split([g.numel() for g in gradients])):  # noqa: B905
            gradient.copy_(mean.view(gradient.shape))

    def _remember(self) -> None:
        # Early on the average would only remember how bad the first weights were.
        keep = min(AVERAGE, self.step / (self.step + 10 * AVERAGE_EVERY))
        for key, value in self.network.state_dict().items():
            if value.is_floating_point():
                self.average[key].lerp_(value, 1 - keep)
            else:
                self.average[key].copy_(value)

    def _size(self) -> int:
        return SMALL if self.step < self.args.fine * self.args.steps else LARGE

    def _rate(self) -> float:
        """Linear warm-up, then half a cosine down to a hundredth."""
        warm = min(1.0, (self.step + 1) / WARM_UP)
        cosine = 0.505 + 0.495 * math.cos(math.pi * min(1.0, self.step / self.args.steps))
        return float(self.args.rate * warm * cosine)

    def _batches(self, size: int) -> Iterator[tuple[Tensor, ...]]:
        # As many pixels a batch at either size, so a step takes as long.
        batch = self.args.batch if size == SMALL else self.args.batch * SMALL**2 // LARGE**2
        seed = self.args.seed + self.step + 1_000_003 * self.rank
        source = Batches(self.args.folder / "scenes", size, max(1, batch // self.args.processes), seed)
        return iter(DataLoader(source, batch_size=None, num_workers=1, prefetch_factor=4))

    def _resume(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average = state["average"]
        self.step, self.seconds = state["step"], state["seconds"]
        log = self.args.folder / "log.jsonl"
        if not self.rank and log.exists():  # steps after the last saved state are made again
            lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
            log.write_text(
                "".join(line for line in lines if json.loads(line)["step"] <= self.step), encoding="utf-8"
            )

    def _save(self) -> None:
        if self.rank:
            return
        state = {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}
        state |= {"average": self.average, "step": self.step, "seconds": self.seconds}
        for name, value in (("state.pt", state), ("weights.pth", self.average)):
            scratch = self.args.folder / f"{name}.part"
            torch.save(value, scratch)
            scratch.replace(self.args.folder / name)

    def _note(self, figures: Mapping[str, object]) -> None:
        if self.rank:
            return
        line = {"step": self.step, "steps": self.args.steps, "seconds": round(self.seconds), "rate": self._rate()}
        line |= {key: getattr(self.args, key) for key in ("seed", "batch", "processes", "bfloat16")}
        line |= {"frozen": self.frozen, **figures}
        with (self.args.folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)


def _start_unsure(network: RetinaFace) -> None:
    """Class heads that begin at 1% faces: otherwise the first steps only push 16,800 anchors down."""
    for head in network.ClassHead:
        bias = head.conv1x1.bias
        assert isinstance(bias, torch.nn.Parameter)
        bias.data.copy_(torch.tensor([0.0, -math.log(99)] * 2))


def work(rank: int, args: argparse.Namespace) -> None:
    """One of the processes that train together. One thread each: their only meeting point is the end of a step."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    if args.processes > 1:
        meeting = f"file://{(args.folder / 'meeting').resolve()}"
        distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=args.processes)
    Training(args, rank).run()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=7000)
    parser.add_argument(
        "--batch", type=int, default=16, help="pictures of 320x320 in a step; a quarter as many of 640x640"
    )
    parser.add_argument("--fine", type=float, default=0.75, help="share of the steps of 320x320")
    parser.add_argument("--freeze", type=int, metavar="STEP", help="from it on, normalize by the running averages")
    parser.add_argument("--rate", type=float, default=1.5e-3, help="learning rate after the warm-up")
    parser.add_argument("--decay", type=float, default=5e-3, help="weight decay of kernels")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2, help="that share each batch, with a thread each")
    parser.add_argument("--minutes", type=float, default=3, help="between two savings of the state")
    parser.add_argument("--bfloat16", action="store_true", help="convolve in bfloat16, where the processor has it")
    args = parser.parse_args()
    (args.folder / "meeting").unlink(missing_ok=True)  # of a call that was interrupted
    multiprocessing.spawn(work, (args,), nprocs=args.processes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
