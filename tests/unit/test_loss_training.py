"""Training reads what ingest reads, is not taken up over other data, and never returns the untrained fusion
as if it were trained."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mmsearch.errors import TrainingError
from mmsearch.ingest.item import Item
from mmsearch.products.record import Line, parse
from mmsearch.training.loop import Run, train
from mmsearch.training.loss import nt_xent
from mmsearch.training.objective import Features
from mmsearch.training.pairs import features, read_pairs, read_products

from ..fakes.ingesting import picture
from ..fakes.small_training import CPU, NUMBERS, drawn, fresh, small

NAME = "4tmm_gated"


def write(file: Path, *records: dict[str, Any]) -> Path:
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    return file


def test_loss_14_training_reads_the_text_that_ingest_encodes(tmp_path: Path) -> None:
    records = (
        {
            "id": 1,
            "title": " Chair ",
            "brand": ["Ercol"],
            "category": ["Seats", "Oak"],
            "description": "of oak",
        },
        {"id": "2", "title": 7, "brand": "Ikea", "price": "19,90"},
        {"id": "3", "title": ["Lamp", "Light"], "images": ["a.png", "b.png"]},
    )
    said: list[str] = []
    products = read_products(write(tmp_path / "c.jsonl", *records), say=said.append)
    encoded = [
        Item.of(line, parse(line)).text
        for line in (Line(number, json.dumps(record).encode()) for number, record in enumerate(records, 1))
    ]
    assert [product.text for product in products] == encoded
    assert products[0].text == "Chair\nErcol\nSeats, Oak\nof oak"
    assert [product.identifier for product in products] == ["1", "2", "3"]
    assert products[2].picture == tmp_path / "a.png"
    assert not said


def test_loss_14_a_shops_own_names_and_format_are_read(tmp_path: Path) -> None:
    file = tmp_path / "shop.csv"
    file.write_text("sku;name;maker;group\nA1;Oak chair;Ercol;chairs\n")
    (product,) = read_products(file, say=print, renames={"id": "sku", "title": "name", "brand": "maker"})
    assert (product.identifier, product.text, product.group) == ("A1", "Oak chair\nErcol", "chairs")


def test_loss_14_what_ingest_rejects_is_left_out_and_counted(tmp_path: Path) -> None:
    said: list[str] = []
    records = (
        {"id": "1", "title": "first"},
        {"id": "1", "title": "again"},
        {"title": "nameless"},
        {"id": "2", "price": "on request"},
        {"id": "3", "title": "lamp"},
    )
    file = write(tmp_path / "c.jsonl", *records)
    products = read_products(file, say=said.append)
    assert [(product.identifier, product.text) for product in products] == [("1", "first"), ("3", "lamp")]
    (line,) = said
    assert line.startswith(f"3 lines of {file} are left out: ")
    for part in ("1 duplicate_id", "1 missing_id", "1 wrong_type", "such as: expected each id once"):
        assert part in line
    with pytest.raises(TrainingError, match="expected products in"):
        read_products(write(tmp_path / "d.jsonl", {"title": "nameless"}), say=said.append)


def test_loss_14_a_picture_inside_the_catalog_is_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = picture()
    inside = f"data:image/png;base64,{base64.b64encode(raw).decode()}"
    file = write(
        tmp_path / "c.jsonl", {"id": "1", "image": inside}, {"id": "2", "image": "data:image/png;base64,§"}
    )
    pairs = read_pairs(write(tmp_path / "p.jsonl", {"query": "q", "product_id": "1"}))
    got: list[bytes] = []
    said: list[str] = []
    architecture = small(NAME)
    width = architecture.fusion.image_dimension

    def texts(*arguments: Any, **named: Any) -> torch.Tensor:
        return torch.tensor([[float(bool(text))] * 16 for text in arguments[2]])

    def pictures(tower: Any, encoded: Iterable[bytes], broken: Any) -> Any:
        got.extend(encoded)
        return torch.ones(len(got), width).numpy()

    monkeypatch.setattr("mmsearch.training.pairs._texts", texts)
    monkeypatch.setattr("mmsearch.training.pairs.exported", lambda *arguments: None)
    monkeypatch.setattr("mmsearch.training.pairs.picture_features", pictures)
    features(architecture, read_products(file, say=said.append), pairs, said.append)
    assert got == [raw, b""]
    assert said == [
        "2 trains without its picture: expected base64 in a data: URI, got 2 characters that are not; encode "
        "the file again"
    ]


def changed(data: Features, name: str) -> Features:
    value = getattr(data, name).clone()
    value.view(-1)[0] += 1
    return replace(data, **{name: value})


@pytest.mark.parametrize("name", ["counts", "item_text", "query_text", "item_image"])
@pytest.mark.parametrize("steps", [4, 12])
def test_loss_14_a_training_is_not_taken_up_over_other_data(tmp_path: Path, name: str, steps: int) -> None:
    numbers = replace(NUMBERS, steps=12)
    data = drawn(small(NAME))
    run = Run(fresh(NAME), data, numbers, CPU)
    run.judge()
    for _ in range(steps):
        run.advance()
    run.save(tmp_path)
    with pytest.raises(TrainingError, match="over the same pairs, products and pictures, got others"):
        train(fresh(NAME), changed(data, name), numbers, device=CPU, folder=tmp_path)
    assert train(fresh(NAME), data, numbers, device=CPU, folder=tmp_path).steps == 12


def test_loss_14_without_anything_held_out_the_last_weights_are_returned() -> None:
    data, numbers = drawn(small(NAME)), replace(NUMBERS, holdout=0.0, steps=10, patience=1)
    before = {name: value.clone() for name, value in fresh(NAME).state_dict().items()}
    run = Run(fresh(NAME), data, numbers, CPU)
    for _ in range(10):
        run.advance()
    trained = train(fresh(NAME), data, numbers, device=CPU)
    assert (trained.steps, trained.best_step) == (10, 10)
    after = trained.fusion.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    for name, value in run.fusion.state_dict().items():
        torch.testing.assert_close(after[name], value)


def grouped(count: int) -> Features:
    """The forty products in so many groups."""
    return replace(drawn(small(NAME)), group=torch.arange(40) % count)


def test_loss_14_too_few_groups_to_hold_any_out_are_refused() -> None:
    numbers = replace(NUMBERS, holdout=0.15)
    few = "expected at least 7 groups of products, to hold 15% of them out, got 6; give pairs over more"
    with pytest.raises(TrainingError, match=few):
        train(fresh(NAME), grouped(6), numbers, device=CPU)
    assert train(fresh(NAME), grouped(7), numbers, device=CPU).steps


def test_loss_14_held_out_products_without_pairs_are_refused() -> None:
    data = drawn(small(NAME))
    held = Run(fresh(NAME), data, NUMBERS, CPU).held.items
    kept = ~torch.isin(data.pairs[:, 1], held)
    alone = replace(data, pairs=data.pairs[kept], counts=data.counts[kept])
    with pytest.raises(TrainingError, match="expected pairs for the 8 products that are held out, got none"):
        train(fresh(NAME), alone, NUMBERS, device=CPU)
    one = ~kept | (torch.arange(len(kept)) == int(torch.nonzero(kept)[0]))
    lonely = replace(data, pairs=data.pairs[one], counts=data.counts[one])
    with pytest.raises(
        TrainingError, match=r"expected two pairs or more to train on.*got 1; give more pairs"
    ):
        train(fresh(NAME), lonely, NUMBERS, device=CPU)


def test_loss_14_a_batch_in_which_no_pair_counts_is_no_loss() -> None:
    rows = torch.eye(2, requires_grad=True)
    loss = nt_xent(rows, torch.eye(2), 0.1, weights=torch.zeros(2))
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 0.0
    assert rows.grad is not None
    assert torch.isfinite(rows.grad).all()


def test_loss_14_small_batches_train_without_a_number_that_is_none() -> None:
    run = Run(fresh(NAME), drawn(small(NAME)), replace(NUMBERS, batch=2, modality_dropout=0.6), CPU)
    losses = [run.advance() for _ in range(60)]
    assert all(loss == loss for loss in losses)
