"""What `audit` does."""

from bmzoo.config.model import Model
from bmzoo.errors import ConfigError
from bmzoo.plan.audit import AUDIT_PICTURES
from bmzoo.results import audit
from bmzoo.workspace import Workspace


def run_audit(at: Workspace, own: Model, pictures: str = "") -> None:
    if pictures and (not pictures.isdecimal() or not int(pictures)):
        raise ConfigError(f"--pictures: not a number of pictures: {pictures}", "--pictures=64")
    count = int(pictures) if pictures else AUDIT_PICTURES
    at.report.say(f"audit:{own.name}: {audit.audit_model(at, own, count)}")
