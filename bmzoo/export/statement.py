"""What an archive says of itself: an in-toto statement over all its members, with SLSA's provenance.

A pure function of the members. Whoever verifies an archive computes it again, so that nothing in it can be changed
alone: neither a member, nor what is said of them.

Sources: https://in-toto.io/Statement/v1, https://slsa.dev/provenance/v1.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bmzoo.errors import SourceError

FORMAT = 1  # of archives: goes up where an older reader could not verify one
TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:bmzoo:export:"
ATTESTATION, CHECK = "attestation.json", "check.json"
# What a verification says of an artifact.
_VERDICT = (
    "passed",
    "thresholds",
    "images",
    "simulated",
    "tensors",
    "detections",
    "engines",
    "consistency",
    "drawn",
)


def stated(members: Mapping[str, bytes]) -> dict[str, Any]:
    """The statement over members, content by name, but for the attestation itself.

    Raises SourceError where documents are missing or damaged, or do not speak of the artifact that is there.
    """
    check, told, verified = _documents(members)
    artifact = _digest(members[check["artifact"]])
    for name, document in ((check["provenance"], told), (check["verification"], verified)):
        if document["sha256"] != artifact:
            raise SourceError(f"{name}: of another artifact than {check['artifact']}", "export the target again")
    names = sorted(members.keys() - {ATTESTATION})
    return {
        "_type": TYPE,
        "subject": [{"name": name, "digest": {"sha256": _digest(members[name])}} for name in names],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": f"{BUILD_TYPE}{FORMAT}",
                "externalParameters": {"target": told["target"], "weights": told["weights"]},
                "internalParameters": {"steps": _recipe(told["steps"])},
                "resolvedDependencies": list(_dependencies(told["steps"])),
            },
            "runDetails": {
                "builder": {"id": "urn:bmzoo", "version": _tools(told)},
                "byproducts": [
                    {"name": name, "digest": {"sha256": _digest(members[name])}}
                    for name in (check["provenance"], check["verification"])
                ],
            },
            "bmzoo_verdict": {key: verified[key] for key in _VERDICT if key in verified},
        },
    }


def _documents(members: Mapping[str, bytes]) -> tuple[Any, Any, Any]:
    """How to check the archive, the provenance of its artifact, and its verification."""
    name = CHECK
    try:
        check = json.loads(members[CHECK])
        name = check["provenance"]
        told = json.loads(members[name])
        name = check["verification"]
        verified = json.loads(members[name])
        name = check["artifact"]
        _ = members[name], told["sha256"], told["steps"], told["target"], told["weights"], verified["sha256"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise SourceError(f"{name}: missing or damaged", "copy the archive again") from None
    return check, told, verified


def _recipe(steps: Mapping[str, Any]) -> dict[str, Any]:
    """The commands of each step, and what its result is known by; of a decision, all that it is derived from."""
    return {kind: {key: step[key] for key in _kept(step)} for kind, step in steps.items()}


def _kept(step: Mapping[str, Any]) -> Iterable[str]:
    return step.keys() - {"files", "seconds"} if "decision" in step else ("fingerprint", "commands")


def _dependencies(steps: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What steps read from outside: files that no other step wrote, each with where it was read."""
    made = {digest for step in steps.values() for digest in step["files"].values()}
    for kind, step in steps.items():
        for name, digest in step.get("inputs", {}).items():
            if kind == "import" or digest not in made:  # an import may give what it was given
                yield {"name": f"{kind}/{name}", "digest": {"sha256": digest}}


def _tools(told: Mapping[str, Any]) -> dict[str, str]:
    """Versions of the compiler and of bmzoo's own commands, as provenance has them."""
    found = {tool: text for step in told["steps"].values() for tool, text in step.get("tools", {}).items()}
    return {**found, "toolchain": told["toolchain"]}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
