"""doit's reporter for bmzoo: each failure once, with cause and hint, and the tasks that were skipped for it."""

from pathlib import Path
from typing import Any

from doit.exceptions import TaskFailed, UnmetDependency

from bmzoo.errors import BmzooError
from bmzoo.release.outcomes import Outcomes
from bmzoo.system.files import write
from bmzoo.system.junit import junit_xml
from bmzoo.tasks.guard import Failed
from bmzoo.tasks.progress import Progress


# doit takes a class and makes the instance itself, so a closure holds what the instance needs.
def reporter(progress: Progress, junit: Path, outcomes: Outcomes) -> type:  # noqa: C901
    """A reporter class that prints to `progress`, writes verdicts to `junit` and records failures in `outcomes`."""

    class Reporter:
        desc = "bmzoo"

        def __init__(self, outstream: Any, options: Any) -> None:
            self.left_out: list[str] = []
            self.aborted: list[str] = []
            self.verdicts: dict[str, str | None] = {}

        def initialize(self, tasks: dict[str, Any], selected: list[str]) -> None:
            progress.expect(len(_closure(tasks, selected)))

        def get_status(self, task: Any) -> None: ...

        def execute_task(self, task: Any) -> None: ...

        def add_failure(self, task: Any, failure: Any) -> None:
            progress.task_done()
            if isinstance(failure, UnmetDependency):
                self.left_out.append(task.name)
                outcomes.left_out(task.name, [*task.task_dep, *task.setup_tasks])
                self._judge(task, "not run, because what it needs failed")
                return
            text = failure.message if isinstance(failure, TaskFailed) else failure.get_msg()
            self._judge(task, text)
            outcomes.failed(task.name, text, failure.evidence if isinstance(failure, Failed) else "")
            progress.say(f"error: {task.name}: {text}")

        def add_success(self, task: Any) -> None:
            progress.task_done()
            self._judge(task, None)

        def skip_uptodate(self, task: Any) -> None:
            progress.task_done()
            self._judge(task, None)

        def _judge(self, task: Any, text: str | None) -> None:
            if task.name.startswith("verify:"):
                self.verdicts[task.name] = text

        def skip_ignore(self, task: Any) -> None:
            progress.task_done()

        def cleanup_error(self, exception: Any) -> None:
            progress.say(f"error: {exception.get_msg()}")

        def runtime_error(self, message: str) -> None:
            self.aborted.append(message)

        def teardown_task(self, task: Any) -> None: ...

        def complete_run(self) -> None:
            progress.close()
            if self.verdicts:
                _leave(junit_xml("verify", self.verdicts), junit, progress)
            for message in self.aborted:
                progress.say(f"error: {message}")
            if self.left_out:
                progress.say(f"not run, because what they need failed: {', '.join(self.left_out)}")

    return Reporter


def _leave(text: str, path: Path, progress: Progress) -> None:
    try:
        write(text, path)
    except BmzooError as error:
        progress.say(f"error: {error.render()}")


def _closure(tasks: dict[str, Any], selected: list[str]) -> set[str]:
    """Names of the selected tasks and all their dependencies, of those that have actions."""
    seen: set[str] = set()
    todo = list(selected)
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += [*tasks[name].task_dep, *tasks[name].setup_tasks]
    return {name for name in seen if tasks[name].actions}
