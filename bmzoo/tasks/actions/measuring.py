"""What `bench` and `reproduce` do; they bring numpy and OpenCV with them."""

from bmzoo.results import bench as benchmark
from bmzoo.results import reproduce as again
from bmzoo.target import Target
from bmzoo.tasks.row import TaskSubject
from bmzoo.workspace import Workspace


def run_bench(at: Workspace, subject: TaskSubject[Target | None]) -> None:
    at.report.say(f"bench:{subject.name}: {benchmark.time_stages(at, subject.model, subject.of)} per image")


def run_reproduce(at: Workspace, target: Target, name: str) -> None:
    at.report.say(f"reproduce:{name}: {again.build_twice(at, target)}")
