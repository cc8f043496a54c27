"""An OpenSearch at the wire: the few HTTP answers that ingest needs, kept in a dictionary, with faults on
demand."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


class AnswerError(Exception):
    """Raised by a fault: answer the whole request with this status, or drop the connection when it is 0."""

    def __init__(self, status: int, error: dict[str, Any] | None = None) -> None:
        super().__init__(str(status))
        self.status = status
        self.error = error or {"type": f"fault_{status}", "reason": "told to"}


class FakeOpenSearch:
    """One node on a free port of loopback.

    `documents` are the sources by index and id. `request_fault(method, path)` may raise AnswerError before a
    request is looked at, `item_fault(id)` gives the status of one bulk item or 0, or its status and error,
    `drop(id)` says that an ingest pipeline drops the document, `search_fault(index)` may give another answer
    to each search of a multi-search, `cut()` says whether to break the connection in the middle of a bulk
    answer after the bulk was done. `searches` are the bodies of single searches in a named index, and
    `search_answer(body)` may give another answer to one, its status and its body. `libraries` are the data
    nodes by name, and what the plugin on each says of k-NN's native libraries (None where it does not
    answer); without any, no node has the plugin.
    """

    def __init__(self, port: int = 0) -> None:
        self.indices: dict[str, dict[str, Any]] = {}
        self.aliases: dict[str, str] = {}
        self.alias_properties: dict[str, dict[str, Any]] = {}
        self.documents: dict[str, dict[str, dict[str, Any]]] = {}
        self.bulks: list[list[str]] = []
        self.requests: list[tuple[str, str]] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.request_fault: Callable[[str, str], None] = lambda method, path: None
        self.item_fault: Callable[[str], int | tuple[int, dict[str, Any]]] = lambda identifier: 0
        self.drop: Callable[[str], bool] = lambda identifier: False
        self.uuids: dict[str, str] = {}
        self.settings: dict[str, str] = {}
        self.scripts: dict[str, Any] = {}
        self.numbers: dict[tuple[str, str], int] = {}
        self.search_fault: Callable[[str], dict[str, Any] | None] = lambda index: None
        self.libraries: dict[str, bool | None] = {}
        self.cut: Callable[[], bool] = lambda: False
        self.searches: list[dict[str, Any]] = []
        self.search_answer: Callable[[dict[str, Any]], tuple[int, dict[str, Any]] | None] = lambda body: None
        self.lock = threading.Lock()
        self.connections: set[socket.socket] = set()
        self.port = port
        self.start()
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> FakeOpenSearch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        handler = type("Handler", (_Handler,), {"node": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Stop listening and cut every connection, as a node that is killed does; documents stay."""
        self._server.shutdown()
        self._server.server_close()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def sources(self, name: str = "products") -> dict[str, dict[str, Any]]:
        return self.documents[self.aliases.get(name, name)]

    def create(self, index: str, body: dict[str, Any]) -> None:
        self.indices[index] = {"mappings": {}, **body}
        self.documents[index] = {}
        self.uuids[index] = f"uuid-{len(self.uuids)}-{time.monotonic_ns()}"
        for alias in body.get("aliases", {}):
            self.aliases[alias] = index

    def delete(self, index: str) -> None:
        """As DELETE /index does: its aliases are gone too."""
        del self.indices[index], self.documents[index], self.uuids[index]
        self.aliases = {alias: behind for alias, behind in self.aliases.items() if behind != index}

    def bulk(self, index: str, body: bytes) -> dict[str, Any]:
        lines = [line for line in body.split(b"\n") if line]
        items, ids, at = [], [], 0
        while at < len(lines):
            verb, about = next(iter(json.loads(lines[at]).items()))
            identifier = about["_id"]
            ids.append(identifier)
            source = None if verb == "delete" else json.loads(lines[at + 1])
            at += 1 if verb == "delete" else 2
            item: dict[str, Any] = {"_id": identifier}
            fault = self.item_fault(identifier)
            if fault:
                status, error = fault if isinstance(fault, tuple) else (fault, None)
                item |= {"status": status, "error": error or {"type": f"fault_{status}", "reason": "told to"}}
            else:
                item |= self._apply(index, verb, about, source)
            items.append({verb: item})
        self.bulks.append(ids)
        if self.settings:
            # With an ingest pipeline the real one answers in another order than it was asked.
            items.reverse()
        return {"errors": any("error" in next(iter(item.values())) for item in items), "items": items}

    def _apply(self, index: str, verb: str, about: dict[str, Any], source: Any) -> dict[str, Any]:
        """What becomes of one item: its status with a result or an error."""
        store, identifier = self.documents[index], about["_id"]
        there = identifier in store
        if "if_seq_no" in about and self.numbers.get((index, identifier), 0) != about["if_seq_no"]:
            return {"status": 409, "error": {"type": "version_conflict_engine_exception", "reason": "seq_no"}}
        if verb == "delete":
            store.pop(identifier, None)
            return {"status": 200, "result": "deleted"} if there else {"status": 404, "result": "not_found"}
        if verb == "index":
            if self.drop(identifier):
                return {"status": 200, "result": "noop"}
            self.put(index, identifier, source)
            return {"status": 200, "result": "updated"} if there else {"status": 201, "result": "created"}
        if not there:
            return {"status": 404, "error": {"type": "document_missing_exception", "reason": identifier}}
        old = store[identifier]
        new = _merged(old, source["doc"]) if "doc" in source else _scripted(old, source["script"]["params"])
        if new == old:
            return {"status": 200, "result": "noop"}
        self.put(index, identifier, new)
        return {"status": 200, "result": "updated"}

    def put(self, index: str, identifier: str, source: dict[str, Any]) -> None:
        """Store a document, as anybody may."""
        self.documents[index][identifier] = source
        self.numbers[index, identifier] = self.numbers.get((index, identifier), 0) + 1


def _merged(old: Any, new: Any) -> Any:
    """A partial document over the old one, objects in objects too."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return {**old, **{key: _merged(old.get(key), value) for key, value in new.items()}}


def _field_types(fields: dict[str, Any]) -> dict[str, Any]:
    """`_field_caps` of every field: its types, without what may be done with it."""
    found: dict[str, Any] = {}
    for name, about in fields.items():
        found[name] = {about.get("type", "object"): {}}
        inner = _field_types(about.get("properties", {}))
        found |= {f"{name}.{path}": each for path, each in inner.items()}
    return found


PARTS = ("attributes", "other_attributes", "long_attributes")


def _scripted(old: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    """What mmsearch's two scripts do, by hand."""
    return _replaced(old, params["source"]) if "source" in params else _changed(old, params["change"])


def _replaced(old: dict[str, Any], source: dict[str, Any]) -> dict[str, Any]:
    """Ours are replaced, what others wrote stays."""
    ours = (
        "title",
        "description",
        "category",
        "brand",
        "price",
        "image",
        "ingest",
        "attribute_words",
        *PARTS,
    )
    was = old.get("ingest", {}).get("attributes")
    new = {key: value for key, value in old.items() if key not in ours} | source
    for part in PARTS if was is not None else ():
        gone = {*was, *source["ingest"]["attributes"]}
        if kept := {name: value for name, value in old.get(part, {}).items() if name not in gone}:
            new[part] = kept | new.get(part, {})
    return _worded(new)


def _changed(old: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """The change is merged; an attribute that lies elsewhere than before leaves where it was."""
    new = dict(old)
    for part in PARTS:
        for other in PARTS:
            if other != part and part in change and other in new:
                new[other] = _taken_out(new[other], change[part])
                if not new[other]:
                    del new[other]
    return _worded(_merged(new, change))


def _taken_out(there: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    left: dict[str, Any] = {}
    for name, value in there.items():
        if name not in change:
            left[name] = value
        elif isinstance(value, dict) and isinstance(change[name], dict):
            left[name] = _taken_out(value, change[name])
    return {name: value for name, value in left.items() if value != {}}


def _worded(source: dict[str, Any]) -> dict[str, Any]:
    def texts(value: Any) -> list[str]:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return [value] if isinstance(value, str) else [text for each in inner for text in texts(each)]

    rest = {key: value for key, value in source.items() if key != "attribute_words"}
    words = texts(source.get("other_attributes"))
    return {**rest, "attribute_words": words} if words else rest


class _Handler(BaseHTTPRequestHandler):
    node: FakeOpenSearch
    protocol_version = "HTTP/1.1"
    # Head and body are two writes: the second would wait until the first one is acknowledged.
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.node.connections.add(self.request)

    def finish(self) -> None:
        self.node.connections.discard(self.request)
        with contextlib.suppress(OSError):  # the connection was cut
            super().finish()

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing: the test's own output is enough."""

    def do_GET(self) -> None:
        self._serve("GET")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def do_PUT(self) -> None:
        self._serve("PUT")

    def do_POST(self) -> None:
        self._serve("POST")

    def _serve(self, method: str) -> None:
        node = self.node
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        with node.lock:
            node.requests.append((method, path))
            node.in_flight += 1
            node.most_in_flight = max(node.most_in_flight, node.in_flight)
        try:
            node.request_fault(method, path)
            with node.lock:
                status, answer = self._answer(method, path, body, query)
        except AnswerError as told:
            if not told.status:
                self.close_connection = True
                return
            status, answer = told.status, {"error": told.error}
        finally:
            with node.lock:
                node.in_flight -= 1
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        if path.endswith("/_bulk") and node.cut():
            self.wfile.write(text[: len(text) // 2])
            self.close_connection = True
            return
        self.wfile.write(text)

    def _answer(self, method: str, path: str, body: bytes, query: str) -> tuple[int, dict[str, Any]]:
        node = self.node
        name, _, verb = path.strip("/").partition("/")
        index = node.aliases.get(name, name)
        if method == "PUT" and not verb:
            if index in node.indices:
                return 400, {"error": {"type": "resource_already_exists_exception", "reason": index}}
            node.create(index, json.loads(body))
            return 200, {"acknowledged": True}
        if path.startswith("/_plugins/"):
            return self._libraries(path)
        if name == "_alias":
            return 200, {each: {"aliases": self._aliases(each, "")} for each in node.indices}
        if name == "_mapping":
            return 200, {each: {"mappings": about["mappings"]} for each, about in node.indices.items()}
        if name == "_aliases":
            self._move(json.loads(body)["actions"])
            return 200, {"acknowledged": True}
        if name == "_search":
            return 200, {"_scroll_id": "s", "hits": {"hits": []}}
        if name in ("_scripts", "_render"):
            return self._script(method, verb.removeprefix("template/"), body)
        if index not in node.indices and verb == "_bulk":
            node.create(index, {})
        if index not in node.indices:
            return 404, {"error": {"type": "index_not_found_exception", "reason": index}}
        if method == "GET" and verb.startswith("_alias"):
            found = self._aliases(index, verb.removeprefix("_alias").lstrip("/"))
            return (200, {index: {"aliases": found}}) if found or verb == "_alias" else (404, {})
        if method == "GET" and not verb:
            about = node.indices[index]
            settings = {"index": {"number_of_shards": "1", **about.get("settings", {}).get("index", {})}}
            return 200, {index: {**about, "settings": settings, "aliases": self._aliases(index, "")}}
        if method == "PUT" and verb == "_mapping":
            mappings, added = node.indices[index]["mappings"], json.loads(body)
            properties = _merged(mappings.get("properties", {}), added.pop("properties", {}))
            mappings |= {**added, **({"properties": properties} if properties else {})}
            return 200, {"acknowledged": True}
        if verb == "_mapping":
            return 200, {index: {"mappings": node.indices[index]["mappings"]}}
        if verb.startswith("_settings"):
            return 200, {index: {"settings": {"index": {"uuid": node.uuids[index], **node.settings}}}}
        if verb == "_field_caps":
            return 200, {"fields": _field_types(node.indices[index]["mappings"].get("properties", {}))}
        if verb == "_mget":
            kept = dict(urllib.parse.parse_qsl(query))
            return 200, {"docs": [self._found(index, each, kept) for each in json.loads(body)["ids"]]}
        if verb == "_bulk":
            return 200, node.bulk(index, body)
        if verb == "_search":
            asked = json.loads(body)
            node.searches.append(asked)
            if other := node.search_answer(asked):
                return other
            hits = [
                {
                    "_id": each,
                    "_seq_no": node.numbers.get((index, each), 0),
                    "_primary_term": 1,
                    "_source": source,
                }
                for each, source in node.documents[index].items()
            ]
            return 200, {"_scroll_id": "s", "hits": {"hits": hits}}
        if verb == "_msearch":
            return 200, {"responses": [self._first_ten(index) for _ in range(body.count(b"\n") // 2)]}
        if verb == "_count":
            pictured = b"modalities" in body
            found = [
                source
                for source in node.documents[index].values()
                if not pictured or "image" in source.get("ingest", {}).get("modalities", ())
            ]
            return 200, {"count": len(found), "_shards": {"total": 1, "failed": 0}}
        if verb == "_refresh":
            return 200, {"_shards": {"failed": 0}}
        return 400, {"error": {"type": "unknown", "reason": path}}

    def _libraries(self, path: str) -> tuple[int, dict[str, Any]]:
        if path != "/_plugins/_mmsearch/stats/data:true" or not self.node.libraries:
            return 400, {"error": f"no handler found for uri [{path}] and method [GET]"}
        nodes = {
            f"id-{name}": {"name": name, "knn": {"native_libraries": has}}
            for name, has in self.node.libraries.items()
            if has is not None
        }
        failures = [
            {"type": "failed_node_exception", "node_id": f"id-{name}"}
            for name, has in self.node.libraries.items()
            if has is None
        ]
        header = {"total": len(self.node.libraries), "successful": len(nodes), "failed": len(failures)}
        return 200, {"_nodes": header | ({"failures": failures} if failures else {}), "nodes": nodes}

    def _script(self, method: str, name: str, body: bytes) -> tuple[int, dict[str, Any]]:
        if method == "PUT":
            self.node.scripts[name] = json.loads(body)["script"]["source"]
            return 200, {"acknowledged": True}
        if name not in self.node.scripts:
            return 404, {"error": {"type": "resource_not_found_exception", "reason": name}}
        source = self.node.scripts[name]
        written = source if isinstance(source, str) else json.dumps(source)
        return 200, {"script": {"lang": "mustache", "source": written}, "template_output": source}

    def _aliases(self, index: str, only: str) -> dict[str, dict[str, Any]]:
        named = [name for name, of in self.node.aliases.items() if of == index and only in ("", name)]
        return {name: self.node.alias_properties.get(name, {}) for name in named}

    def _move(self, actions: list[dict[str, Any]]) -> None:
        for action in actions:
            if about := action.get("remove"):
                del self.node.aliases[about["alias"]]
            elif about := action.get("add"):
                properties = {key: value for key, value in about.items() if key not in ("index", "alias")}
                self.node.aliases[about["alias"]] = about["index"]
                self.node.alias_properties[about["alias"]] = properties

    def _first_ten(self, index: str) -> dict[str, Any]:
        """Every search has the first ten products as its answer, unless `search_fault` gives another."""
        hits = [{"_id": each} for each in list(self.node.documents[index])[:10]]
        answer = {"hits": {"hits": hits}, "timed_out": False, "_shards": {"total": 1, "failed": 0}}
        return self.node.search_fault(index) or answer

    def _found(self, index: str, identifier: str, kept: dict[str, str]) -> dict[str, Any]:
        source = self.node.documents[index].get(identifier)
        if source is None:
            return {"_id": identifier, "found": False}
        if "_source_includes" in kept:
            names = {name.partition(".")[0] for name in kept["_source_includes"].split(",")}
            source = {name: source[name] for name in names if name in source}
        without = kept.get("_source_excludes", "").split(",")
        return {
            "_id": identifier,
            "found": True,
            "_seq_no": self.node.numbers.get((index, identifier), 0),
            "_primary_term": 1,
            "_source": {name: value for name, value in source.items() if name not in without},
        }


def _taken(index: str, body: bytes) -> dict[str, Any]:
    """The answer to a bulk of whole documents, none of which is looked at."""
    ids = re.findall(rb'^\{"index":\{"_id":"([^"]*)"', body, re.MULTILINE)
    items = [{"index": {"_id": each.decode(), "status": 201, "result": "created"}} for each in ids]
    return {"errors": False, "items": items}


def main() -> None:
    """As a program: serve until stdin ends, keeping no documents; for measuring what the client costs."""
    with FakeOpenSearch() as node:
        node.bulk = _taken  # type: ignore[method-assign]
        print(node.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
