from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path

import pytest

from mmsearch.errors import StackError
from mmsearch.stack import opensearch_files as node
from mmsearch.stack.account import Account
from mmsearch.stack.opensearch_node import settings

JVM_OPTIONS = """\
-Xms1g
-Xmx1g
## a comment
11-:-XX:+UseG1GC
9-:-Xlog:gc*,gc+age=trace,safepoint:file=logs/gc.log:utctime,pid,tags
20-:--add-modules=jdk.incubator.vector
-XX:+HeapDumpOnOutOfMemoryError
"""


def test_jvm_options_keep_the_vector_module_where_the_runtime_has_it() -> None:
    assert node.jvm_options(JVM_OPTIONS, vector=True) == (
        "## a comment\n11-:-XX:+UseG1GC\n20-:--add-modules=jdk.incubator.vector\n"
    )


def test_jvm_options_drop_the_vector_module_where_the_runtime_lacks_it() -> None:
    assert node.jvm_options(JVM_OPTIONS, vector=False) == "## a comment\n11-:-XX:+UseG1GC\n"


def test_settings_bind_to_loopback_and_name_triton_for_our_plugin() -> None:
    lines = settings(node.NodeFiles(Path('/x "y"')), 9201, "http://127.0.0.1:8100").splitlines()
    assert 'network.host: "127.0.0.1"' in lines
    assert "http.port: 9201" in lines
    assert 'discovery.type: "single-node"' in lines
    assert 'mmsearch.triton.endpoints: ["http://127.0.0.1:8100"]' in lines
    assert 'path.data: "/x \\"y\\"/data"' in lines


def test_settings_name_no_triton_without_our_plugin() -> None:
    assert "mmsearch.triton" not in settings(node.NodeFiles(Path("/x")), 9201, None)


def test_an_ordinary_user_keeps_the_node_at_home_and_root_in_var_tmp(tmp_path: Path) -> None:
    assert node.node_folder(tmp_path, None) == tmp_path / "node"
    nobody = Account("nobody", 65534, 65534)
    assert node.node_folder(tmp_path, nobody).parent == Path("/var/tmp")
    assert node.node_folder(tmp_path, nobody) != node.node_folder(tmp_path / "other", nobody)


def test_a_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "node").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StackError, match=r"expected .* to be a folder of the current user, got a link"):
        node.own_folder(tmp_path / "node")


def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "node"
    if os.geteuid() == 0:
        folder.mkdir()
        os.chown(folder, 65534, 65534)
    else:
        folder = Path("/usr")  # root's
    with pytest.raises(StackError, match=f"got one of user {folder.stat().st_uid}"):
        node.own_folder(folder)


def test_software_is_readable_whatever_the_umask_was(tmp_path: Path) -> None:
    tool, text = tmp_path / "bin" / "tool", tmp_path / "text"
    tool.parent.mkdir(mode=0o700)
    tool.write_text("")
    tool.chmod(0o700)
    text.write_text("")
    text.chmod(0o600)
    node.make_readable(tmp_path)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tool.parent, tool, text)]
    assert modes == [0o755, 0o755, 0o644]


def test_the_given_zip_comes_before_the_environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, named = tmp_path / "given.zip", tmp_path / "named.zip"
    given.touch()
    named.touch()
    monkeypatch.setenv("MMSEARCH_PLUGIN_ZIP", str(named))
    assert node.find_plugin_zip(given) == given
    assert node.find_plugin_zip() == named


def test_a_named_zip_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"expected the plugin's zip at .*nowhere\.zip"):
        node.find_plugin_zip(tmp_path / "nowhere.zip")


def test_a_descriptor_is_read_and_a_zip_without_one_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "good.zip", "w") as archive:
        archive.writestr("plugin-descriptor.properties", "# c\nname=mmsearch\nopensearch.version = 3.6.0\n")
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("else", "")
    assert node.descriptor(tmp_path / "good.zip") == {"name": "mmsearch", "opensearch.version": "3.6.0"}
    with pytest.raises(StackError, match="got no descriptor in it"):
        node.descriptor(tmp_path / "bad.zip")
