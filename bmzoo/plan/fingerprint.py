"""A step's fingerprint: what its result depends on, and nothing else. A pure function of its arguments."""

import hashlib
import json
from collections.abc import Mapping

from bmzoo.plan.step import Step

# Raise when the meaning of stored results changes as a whole.
FINGERPRINT_SCHEMA = 1


def material(
    step: Step,
    inputs: Mapping[str, str],
    tools: Mapping[str, str],
    environment: Mapping[str, str],
) -> dict[str, object]:
    """Everything that goes into the fingerprint, as JSON-able data.

    inputs: name in the step's folder -> sha256 of its content. tools: tool -> identity of what would run.
    environment: the variables that reach every tool and do not depend on the machine.
    """
    return {
        "schema": FINGERPRINT_SCHEMA,
        "kind": step.kind,
        "commands": [[c.tool, *c.args, c.stdout] for c in step.commands],
        "documents": dict(step.documents),
        "outputs": list(step.outputs),
        "inputs": dict(inputs),
        "tools": {c.tool: tools[c.tool] for c in step.commands},
        "environment": dict(environment),
    }


def fingerprint(facts: Mapping[str, object]) -> str:
    """sha256 (hex) of the canonical JSON of `material`."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
