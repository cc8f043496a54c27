"""What OpenSearch says is taken at its word, by its cause: the run waits, stops, or rejects one product.

The numbers in the names are those of the faults that each test was written for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from mmsearch.cli.main import cli
from mmsearch.clients.causes import Verdict, described, verdict
from mmsearch.clients.opensearch import HttpError, ask, connect
from mmsearch.errors import BlockedError, UnreachableError

from ..fakes.fake_opensearch import AnswerError, FakeOpenSearch
from ..fakes.fake_triton import FakeTriton
from ..fakes.ingesting import Catalog

BREAKER = {
    "type": "mapper_parsing_exception",
    "reason": "failed to parse",
    "caused_by": {
        "type": "illegal_state_exception",
        "reason": "Parsing the created knn vector fields prior to indexing has failed as the circuit breaker "
        "triggered. This indicates that the cluster is low on memory resources",
    },
}
WATERMARK = {
    "type": "cluster_block_exception",
    "reason": "index [products-000001] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage "
    "watermark, index has read-only-allow-delete block];",
}
READ_ONLY = {
    "type": "cluster_block_exception",
    "reason": "index [p] blocked by: [FORBIDDEN/12/index read-only / allow delete (api)];",
}
BLOCK = {
    "type": "cluster_block_exception",
    "reason": "index [products-000001] blocked by: [FORBIDDEN/8/index write (api)];",
}
RIGHTS = {
    "type": "security_exception",
    "reason": "no permissions for [indices:data/write/bulk[s]] and User [name=reader]",
}
PIPELINE = {
    "type": "illegal_argument_exception",
    "reason": "java.lang.IllegalArgumentException: Unable to find match for dissect pattern",
    "caused_by": {
        "type": "dissect_exception",
        "reason": "Unable to find match for dissect pattern: %{a}-%{b}",
    },
}


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with FakeTriton() as triton, FakeOpenSearch() as node:
        found = Catalog(tmp_path, triton, node)
        found.write(*({"id": str(n), "title": f"t{n}"} for n in range(20)))
        yield found


def invoke(catalog: Catalog, *arguments: str) -> Result:
    return CliRunner().invoke(cli, [*arguments, "--opensearch", catalog.node.url])


def ingest(catalog: Catalog, *arguments: str) -> Result:
    return invoke(
        catalog,
        *("ingest", str(catalog.path), "--triton", catalog.triton.url, "--processes", "0"),
        *("--give-up-after", "2", *arguments),
    )


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (400, BREAKER, "WAIT"),
        (429, WATERMARK, "WAIT"),
        (403, READ_ONLY, "WAIT"),
        (503, {"type": "unavailable_shards_exception", "reason": "primary is not active"}, "WAIT"),
        (500, {"type": "node_closed_exception", "reason": "node closed"}, "WAIT"),
        (500, {"type": "i_o_exception", "reason": "No space left on device"}, "WAIT"),
        (429, {"type": "circuit_breaking_exception", "reason": "[parent] Data too large"}, "WAIT"),
        (403, BLOCK, "STOP"),
        (403, RIGHTS, "STOP"),
        (401, {}, "STOP"),
        (404, {"type": "index_not_found_exception", "reason": "no such index"}, "STOP"),
        (400, {"type": "index_closed_exception", "reason": "closed"}, "STOP"),
        (500, PIPELINE, "TRY"),
        (409, {"type": "version_conflict_engine_exception", "reason": "seq"}, "TRY"),
        (400, {"type": "mapper_parsing_exception", "reason": "failed to parse [price]"}, "DOCUMENT"),
        (404, {"type": "document_missing_exception", "reason": "missing"}, "DOCUMENT"),
    ],
)
def test_loss_18_a_cause_says_more_than_a_status(status: int, error: dict[str, Any], expected: str) -> None:
    assert verdict(status, error) is Verdict[expected]


def test_loss_21_the_root_cause_is_what_is_printed(catalog: Catalog) -> None:
    shards = {
        "type": "search_phase_execution_exception",
        "reason": "all shards failed",
        "root_cause": [{"type": "query_shard_exception", "reason": "failed to create query"}],
        "failed_shards": [
            {
                "shard": 0,
                "reason": {
                    "type": "query_shard_exception",
                    "reason": "failed to create query",
                    "caused_by": {"type": "illegal_argument_exception", "reason": "k must be at least 1"},
                },
            }
        ],
    }
    assert described(shards) == (
        "query_shard_exception",
        "failed to create query, because of illegal_argument_exception: k must be at least 1",
    )
    assert described({"type": "a", "reason": "b"}) == ("a", "b")
    assert described({"type": "a", "reason": "b: c", "caused_by": {"type": "x", "reason": "c"}}) == (
        "a",
        "b: c",
    )

    def fault(method: str, path: str) -> None:
        raise AnswerError(400, shards)

    catalog.node.request_fault = fault
    client = connect(catalog.node.url)
    with pytest.raises(HttpError) as error:
        ask(client, "GET", "/products/_search")
    client.close()
    assert error.value.kind == "query_shard_exception"
    assert "k must be at least 1" in error.value.sentence()
    assert "all shards failed" not in error.value.sentence()


@pytest.mark.parametrize(
    ("status", "error", "told"),
    [
        (401, {"type": "security_exception", "reason": "Unauthorized"}, "check the credentials"),
        (403, RIGHTS, r"no permissions for \[indices:data/write/bulk.*grant this user the permission"),
        (403, BLOCK, r"FORBIDDEN/8/index write.*lift the block"),
        (404, {"type": "index_not_found_exception", "reason": "no such index [x]"}, "no such index"),
        (403, {"type": "index_closed_exception", "reason": "closed"}, "open the index by: POST"),
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_loss_06_a_refusal_of_everything_stops_the_run(
    catalog: Catalog, status: int, error: dict[str, Any], told: str, whole: bool
) -> None:
    if whole:

        def fault(method: str, path: str) -> None:
            if path.endswith("_bulk"):
                raise AnswerError(status, error)

        catalog.node.request_fault = fault
    else:
        catalog.node.item_fault = lambda identifier: (status, error)
    with pytest.raises(BlockedError, match=told):
        catalog.ingest()
    assert catalog.rejected() == []
    assert sum(path.endswith("_bulk") for _, path in catalog.node.requests) <= 2


@pytest.mark.parametrize(("status", "error"), [(400, BREAKER), (429, WATERMARK), (403, WATERMARK)])
def test_loss_06_what_passes_is_waited_for(catalog: Catalog, status: int, error: dict[str, Any]) -> None:
    left = [3]

    def item_fault(identifier: str) -> int | tuple[int, dict[str, Any]]:
        if identifier == "0":
            left[0] -= 1
        return (status, error) if left[0] >= 0 else 0

    catalog.node.item_fault = item_fault
    report = catalog.ingest()
    assert (report.indexed, report.rejected) == (20, 0)


def test_loss_06_what_does_not_pass_ends_the_run_with_its_cause(catalog: Catalog) -> None:
    catalog.node.item_fault = lambda identifier: (400, BREAKER)
    with pytest.raises(UnreachableError, match=r"overloaded all that time, 400 mapper.*circuit breaker"):
        catalog.ingest(patience=0.5)
    assert catalog.rejected() == []


def test_loss_06_a_request_that_is_too_large_is_still_halved(catalog: Catalog) -> None:
    def fault(method: str, path: str) -> None:
        if path.endswith("_bulk") and not catalog.node.bulks:
            catalog.node.bulks.append([])
            raise AnswerError(413)

    catalog.node.request_fault = fault
    assert catalog.ingest().indexed == 20
    assert sorted(map(len, catalog.node.bulks)) == [0, 10, 10]


def test_loss_07_an_index_that_is_deleted_meanwhile_ends_the_run(catalog: Catalog) -> None:
    deleted = []

    def fault(method: str, path: str) -> None:
        if path.endswith("_bulk") and not deleted:
            deleted.append(path)
            catalog.node.delete("products-000001")

    catalog.node.request_fault = fault
    result = ingest(catalog)
    assert result.exit_code == 1
    assert "expected products to exist during the run, got it deleted" in result.stderr


def test_loss_07_another_index_of_the_same_name_ends_the_run(catalog: Catalog) -> None:
    deleted = []

    def fault(method: str, path: str) -> None:
        if path.endswith("_bulk") and not deleted:
            deleted.append(path)
            was = catalog.node.indices["products-000001"]
            catalog.node.delete("products-000001")
            catalog.node.create("products-000001", was)

    catalog.node.request_fault = fault
    with pytest.raises(BlockedError, match="got it deleted and created again"):
        catalog.ingest()


def test_loss_07_an_alias_that_moves_meanwhile_ends_the_run(catalog: Catalog) -> None:
    def fault(method: str, path: str) -> None:
        if path.endswith("_bulk") and "new" not in catalog.node.indices:
            catalog.node.create("new", {"aliases": {"products": {}}})

    catalog.node.request_fault = fault
    with pytest.raises(BlockedError, match=r"expected products to stay on products-000001 .* moved to new"):
        catalog.ingest()


def test_loss_07_a_role_that_may_not_read_settings_still_ingests(catalog: Catalog) -> None:
    def fault(method: str, path: str) -> None:
        if "_settings" in path:
            raise AnswerError(403, RIGHTS)

    catalog.node.request_fault = fault
    assert catalog.ingest().indexed == 20


def test_loss_10_a_closed_index_and_missing_rights_are_one_sentence(catalog: Catalog) -> None:
    assert ingest(catalog).exit_code == 0
    for error, status, told in (
        ({"type": "index_closed_exception", "reason": "closed"}, 400, "open the index by: POST"),
        ({**RIGHTS, "reason": "no permissions for [indices:data/read/mget]"}, 403, "data/read/mget]; grant"),
    ):

        def fault(method: str, path: str, status: int = status, error: dict[str, Any] = error) -> None:
            if path.endswith("_mget"):
                raise AnswerError(status, error)

        catalog.node.request_fault = fault
        result = ingest(catalog)
        assert result.exit_code == 1
        assert result.stderr.startswith("mmsearch: expected OpenSearch at 127.0.0.1:")
        assert "to take POST /products-000001/_mget, got " in result.stderr
        assert told in result.stderr
        assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [("models", "retire", "1"), ("search", "chair"), ("plan", "--products", "10", "--encode-rate", "9")],
)
@pytest.mark.parametrize("status", [0, 403, 503])
def test_loss_10_no_command_ends_in_a_traceback(
    catalog: Catalog, arguments: tuple[str, ...], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMSEARCH_TRITON", "127.0.0.1:9")  # a stack of this machine may listen on 8001

    def fault(method: str, path: str) -> None:
        raise AnswerError(status, RIGHTS)

    catalog.node.request_fault = fault
    result = invoke(catalog, *arguments)
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code in (0, 1)
    assert result.exit_code == 0 or result.stderr.splitlines()[-1].startswith("mmsearch: expected ")


@pytest.mark.parametrize(("package", "extra"), [("torch", "train"), ("flask", "ui")])
def test_loss_10_a_package_that_a_command_needs_on_its_way_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, package: str, extra: str
) -> None:
    @click.command()
    def needy() -> None:
        raise ModuleNotFoundError(f"No module named '{package}.nn'", name=f"{package}.nn")

    monkeypatch.setattr("mmsearch.cli.status.command", needy)
    result = CliRunner().invoke(cli, ["status"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"mmsearch: expected the package {package} for `mmsearch status`, got none; repair: pip install "
        f"'mmsearch[{extra}]'\n"
    )


def test_loss_10_a_file_that_cannot_be_used_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def careless() -> None:
        Path("/no/such/folder/file").write_text("", encoding="utf-8")

    monkeypatch.setattr("mmsearch.cli.status.command", careless)
    result = CliRunner().invoke(cli, ["status"])
    assert result.exit_code == 1
    assert result.stderr.startswith("mmsearch: expected to use /no/such/folder/file, got: No such file")


def test_loss_05_deletes_that_are_refused_are_counted(catalog: Catalog) -> None:
    catalog.ingest()
    catalog.write(*({"id": str(n), "title": f"t{n}"} for n in range(15)))
    catalog.node.item_fault = lambda identifier: (
        (400, {"type": "odd_exception", "reason": "not this one"}) if identifier == "17" else 0
    )
    result = ingest(catalog, "--sync", "--sync-at-most", "50%", "--json")
    assert result.exit_code == 3
    summary = json.loads(result.stdout.splitlines()[-1])
    assert (summary["deleted"], summary["not_deleted"], summary["exit_code"]) == (4, 1, 3)
    assert summary["reasons"] == {"not_deleted": {"odd_exception": 1}}
    assert "1 not deleted, odd_exception: such as '17': 400 not this one" in result.stderr
    assert "1 not deleted (1 odd_exception)" in ingest(catalog, "--sync", "--sync-at-most", "50%").stdout
    assert set(catalog.node.sources()) == {*map(str, range(15)), "17"}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_loss_05_deletes_that_are_put_off_are_sent_again(catalog: Catalog, status: int) -> None:
    catalog.ingest()
    catalog.write(*({"id": str(n), "title": f"t{n}"} for n in range(18)))
    left = {"18": 2, "19": 3}

    def item_fault(identifier: str) -> int:
        left[identifier] = left.get(identifier, 0) - 1
        return status if left[identifier] >= 0 else 0

    catalog.node.item_fault = item_fault
    report = catalog.ingest(sync=0.5)
    assert (report.deleted, report.exit_code) == (2, 0)
    assert len(catalog.node.sources()) == 18


@pytest.mark.parametrize("error", [RIGHTS, BLOCK])
def test_loss_05_deletes_that_nobody_may_do_fail_the_run(catalog: Catalog, error: dict[str, Any]) -> None:
    catalog.ingest()
    catalog.write(*({"id": str(n), "title": f"t{n}"} for n in range(18)))
    catalog.node.item_fault = lambda identifier: (403, error)
    result = ingest(catalog, "--sync", "--sync-at-most", "50%", "--json")
    assert result.exit_code == 1
    assert error["reason"] in result.stderr
    assert json.loads(result.stdout)["exit_code"] == 1
    assert len(catalog.node.sources()) == 20


def test_loss_05_what_somebody_wrote_since_stays_and_is_counted(catalog: Catalog) -> None:
    catalog.ingest()
    catalog.write(*({"id": str(n), "title": f"t{n}"} for n in range(18)))

    def fault(method: str, path: str) -> None:
        if path.endswith("_bulk"):
            catalog.node.put("products-000001", "19", {"title": "theirs"})

    catalog.node.request_fault = fault
    report = catalog.ingest(sync=0.5)
    assert (report.deleted, report.not_deleted, report.exit_code) == (1, 1, 3)
    assert catalog.node.sources()["19"] == {"title": "theirs"}


def test_loss_10_a_scroll_that_breaks_is_begun_again(catalog: Catalog) -> None:
    catalog.ingest()
    catalog.write(*({"id": str(n), "title": f"t{n}"} for n in range(18)))
    for status in (503, 404):
        broken: list[str] = []

        def fault(method: str, path: str, status: int = status, broken: list[str] = broken) -> None:
            if method == "POST" and path == "/_search/scroll" and not broken:
                broken.append(path)
                raise AnswerError(status, {"type": "search_context_missing_exception", "reason": "gone"})

        catalog.node.request_fault = fault
        catalog.ingest(sync=0.5)
        assert broken
        assert len(catalog.node.sources()) == 18


def test_loss_18_a_product_that_a_pipeline_refuses_is_a_reject(catalog: Catalog) -> None:
    sent: list[str] = []

    def item_fault(identifier: str) -> int | tuple[int, dict[str, Any]]:
        sent.append(identifier)
        return (500, PIPELINE) if identifier == "7" else 0

    catalog.node.item_fault = item_fault
    result = ingest(catalog)
    assert result.exit_code == 3
    assert "19 indexed, 1 rejected (1 illegal_argument_exception)" in result.stdout
    (entry,) = catalog.rejected_beside()
    assert (entry["id"], entry["stage"]) == ("7", "index")
    assert "Unable to find match for dissect pattern: %{a}-%{b}" in entry["message"]
    assert 2 <= sent.count("7") <= 10


@pytest.fixture
def with_others(catalog: Catalog) -> Callable[[], dict[str, Any]]:
    """A product with a price and a colour, into which others have written; what it is now."""
    catalog.write({"id": "1", "title": "chair", "price": 5, "colour": "red", "size": "L"})
    catalog.ingest()
    source = catalog.node.sources()["1"]
    assert source["attributes"] == {"colour": "red", "size": "L"}
    catalog.node.put(
        "products-000001",
        "1",
        {**source, "popularity": 9, "lang": {"is": "en"}, "attributes": {**source["attributes"], "stock": 3}},
    )
    return lambda: catalog.node.sources()["1"]


@pytest.mark.parametrize("pipelines", [False, True])
@pytest.mark.parametrize("title", ["chair", "armchair"])
def test_loss_19_what_others_wrote_stays(
    catalog: Catalog, with_others: Callable[[], dict[str, Any]], title: str, pipelines: bool
) -> None:
    if pipelines:
        catalog.node.settings = {"default_pipeline": "theirs"}
    before = with_others()["embedding"]
    catalog.write({"id": "1", "title": title, "price": 6, "size": "M"})
    calls = catalog.triton.rows
    catalog.ingest()
    after = with_others()
    assert after["price"] == 6
    assert after["title"] == title
    assert after["attributes"] == {"size": "M", "stock": 3}
    assert (after["popularity"], after["lang"]) == (9, {"is": "en"})
    assert (after["embedding"] == before) == (title == "chair")
    assert catalog.triton.rows - calls == (title != "chair")


def test_loss_19_a_document_that_is_written_between_reading_and_writing_is_read_again(
    catalog: Catalog, with_others: Callable[[], dict[str, Any]]
) -> None:
    catalog.write({"id": "1", "title": "armchair", "price": 6})
    times: list[str] = []

    def fault(method: str, path: str) -> None:
        if path.endswith("_bulk") and len(times) < 2:
            times.append(path)
            catalog.node.put("products-000001", "1", {**with_others(), "popularity": 10 + len(times)})

    catalog.node.request_fault = fault
    report = catalog.ingest()
    assert (report.indexed, report.rejected) == (1, 0)
    assert (with_others()["popularity"], with_others()["title"]) == (12, "armchair")


def test_an_index_of_nobody_is_not_deleted_from(catalog: Catalog, tmp_path: Path) -> None:
    catalog.node.create("theirs", {})
    (tmp_path / "ids.txt").write_text("1\n", encoding="utf-8")
    result = invoke(catalog, "delete", "--ids", str(tmp_path / "ids.txt"), "--index", "theirs")
    assert result.exit_code == 1
    assert "expected theirs to be an index made by mmsearch" in result.stderr


def test_loss_18_answers_in_another_order_are_given_to_the_right_products(catalog: Catalog) -> None:
    catalog.node.settings = {"default_pipeline": "theirs"}
    catalog.node.item_fault = lambda identifier: (400, PIPELINE) if identifier in "05" else 0
    report = catalog.ingest()
    assert (report.indexed, report.rejected) == (18, 2)
    assert sorted(entry["id"] for entry in catalog.rejected()) == ["0", "5"]
