"""What each program is given on standard input, how it gets vectors, and what an error looked like."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import triton

GIVEN: dict[str, Any] = json.load(sys.stdin)
URL, INDEX, AWAY = GIVEN["url"], GIVEN["index"], GIVEN["away"]
TITLES: list[str] = GIVEN["titles"]
TEXT: str = GIVEN["text"]


def encode(texts: list[str]) -> list[list[float]]:
    return triton.encode(GIVEN["triton"], texts, "item_encoder")


def encode_query(text: str) -> list[float]:
    (vector,) = triton.encode(GIVEN["triton"], [text], "query_encoder")
    return vector


def raised(call: Callable[[], object]) -> dict[str, Any] | None:
    """The class of the error that a call ends with, its status where it has one, and its text."""
    try:
        call()
    except Exception as error:
        status = getattr(error, "status_code", None)
        return {"class": type(error).__name__, "status": status, "text": str(error)}
    return None


def scored(client: Any, index: str, *queries: dict[str, Any]) -> list[list[tuple[str, float]]]:
    """The first 150 of each query by an opensearch-py client, as (id, score): what a hybrid has to fuse."""
    answers = [client.search(index=index, body={"query": query, "size": 150}) for query in queries]
    return [[(hit["_id"], hit["_score"]) for hit in answer["hits"]["hits"]] for answer in answers]


def report(**saw: object) -> None:
    """What the program saw, for the test that started it."""
    json.dump(saw, sys.stdout)
