"""tools/bootstrap.py and pip: settings that it must not see, and what is said when it fails."""

import os
import subprocess
from pathlib import Path

import pytest
from bootstrap_module import PYTHON, bootstrap


def test_settings_that_break_an_environment_do_not_reach_pip() -> None:
    env = bootstrap.child_environ(
        {
            "PYTHONPATH": "/x",
            "PYTHONHOME": "/x",
            "PIP_TARGET": "/x",
            "PIP_USER": "1",
            "PIP_INDEX_URL": "u",
            "HOME": "",
        }
    )
    assert {key: env[key] for key in ("PIP_USER", "PIP_INDEX_URL")} == {"PIP_USER": "0", "PIP_INDEX_URL": "u"}
    assert not env.keys() & {"PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "HOME"}


@pytest.mark.parametrize("section", ["global", "install"])
@pytest.mark.parametrize("name", sorted(bootstrap.HARMFUL_OPTIONS))
def test_settings_of_a_pip_conf_that_break_an_environment_do_not_reach_pip(
    name: str, section: str, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = f"{section}.{name}='/x'\nglobal.index-url='https://a'\ninstall.find-links='/b\\n/c'\n:env:.target='/y'"
    settings = bootstrap.pip_settings(listed, {"PIP_INDEX_URL": "https://own"})
    assert settings == {
        **{"PIP_INDEX_URL": "https://own", "PIP_FIND_LINKS": "/b\n/c", "PIP_CONFIG_FILE": os.devnull}
    }
    assert f"pip.conf: not used here: {name} = /x" in capsys.readouterr().err
    assert bootstrap.child_environ({f"PIP_{name.upper().replace('-', '_')}": "1"}).keys() <= {
        *("PIP_USER", "PIP_NO_CACHE_DIR")
    }


def test_a_pip_conf_that_breaks_nothing_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert bootstrap.pip_settings("global.index-url='https://a'\nglobal.proxy='p'", {}) == {}
    assert bootstrap.pip_settings("ERROR: Configuration file could not be loaded", {}) == {}
    assert capsys.readouterr().err == ""


def test_a_real_pip_is_asked_and_obeys(tmp_path: Path) -> None:
    conf = tmp_path / "pip.conf"
    conf.write_text("[global]\nindex-url = https://a b\n[install]\ntarget = /x\nprefix = /y\nconstraint = c.txt\n")
    env = bootstrap.pip_environ(PYTHON, {"PATH": os.environ["PATH"], "HOME": "/", "PIP_CONFIG_FILE": str(conf)})
    assert env["PIP_CONFIG_FILE"] == os.devnull and env["PIP_INDEX_URL"] == "https://a b"
    argv = [PYTHON, "-I", "-m", "pip", "config", "list"]
    told = subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stdout
    assert "index-url" in told and not [word for word in ("target", "prefix", "constraint") if word in told]


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        (
            "WARNING: Retrying ... NewConnectionError\nERROR: No matching distribution found for x==1",
            "no answer",
        ),
        ("ERROR: No matching distribution found for x==1", "lacks a package"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "another mirror"),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            "free some disk",
        ),
        ("ERROR: Could not find a version that satisfies x==1 (from versions: none)", "no answer"),
        ("Segmentation fault", "read the log's end"),
    ],
)
def test_a_failed_installation_is_explained(tmp_path: Path, said: str, advice: str) -> None:
    log = tmp_path / "logs/bootstrap.log"
    run = bootstrap.logged_runner(log, os.open(tmp_path, os.O_RDONLY), os.environ)
    with pytest.raises(bootstrap.BootstrapError) as caught:
        run(["/bin/sh", "-c", f"echo '{said}'; exit 3"])
    message, hint = str(caught.value).split("\nhint: ")
    assert "exit status 3" in message
    assert said.splitlines()[-1] in message
    assert advice in hint
    assert str(log) in hint
