from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mmsearch.cli.main import COMMANDS, cli


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_with_an_example_and_its_line_in_the_table(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert "Example" in result.output
    assert f"mmsearch {name}" in result.output


def test_help_lists_the_table_and_imports_none_of_it() -> None:
    code = (
        "import sys; from mmsearch.cli.main import cli\n"
        "try: cli(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted(m for m in sys.modules if m.startswith('mmsearch.')))\n"
        "print([m for m in ('numpy', 'torch', 'grpc', 'opensearchpy', 'urllib3') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *help_text, ours, heavy = done.stdout.splitlines()
    assert all(any(line.strip().startswith(name) for line in help_text) for name in COMMANDS)
    assert ours == "['mmsearch.cli', 'mmsearch.cli.main', 'mmsearch.errors', 'mmsearch.extras']"
    assert heavy == "[]"


def test_an_error_of_ours_is_one_sentence_on_stderr_and_exit_1(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["logs", "triton", "--home", str(tmp_path)])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == (
        f"mmsearch: expected a log at {tmp_path}/logs/triton.log, got no such file; "
        "repair: mmsearch up, or name the right --home\n"
    )


def test_a_missing_package_names_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks(name: str) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch.nn")

    monkeypatch.setattr("mmsearch.cli.main.importlib.import_module", lacks)
    result = CliRunner().invoke(cli, ["models"])
    assert result.exit_code == 1
    assert result.stderr == (
        "mmsearch: expected the package torch for `mmsearch models`, got none; "
        "repair: pip install 'mmsearch[train]'\n"
    )


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("mmsearch.cli.main.LazyGroup.get_command", lambda self, context, name: broken)
    assert isinstance(CliRunner().invoke(cli, ["up"]).exception, ZeroDivisionError)


def test_an_unknown_command_is_a_usage_error() -> None:
    assert CliRunner().invoke(cli, ["upp"]).exit_code == 2


def test_down_and_status_without_a_stack_say_so(tmp_path: Path) -> None:
    down = CliRunner().invoke(cli, ["down", "--home", str(tmp_path / "none")])
    assert (down.exit_code, down.stdout) == (0, f"nothing was running for {tmp_path}/none\n")
    assert not (tmp_path / "none").exists()
    status = CliRunner().invoke(cli, ["status", "--home", str(tmp_path / "none")])
    assert (status.exit_code, status.stdout) == (1, "opensearch: not running\ntriton: not running\n")


def test_logs_print_the_last_lines(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "opensearch.log").write_text("".join(f"line {n}\n" for n in range(1, 1001)))
    result = CliRunner().invoke(cli, ["logs", "opensearch", "-n", "2", "--home", str(tmp_path)])
    assert result.stdout == "line 999\nline 1000\n"
