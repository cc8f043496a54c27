"""Trained fusions into a running Triton: 4tMM and 3tMM beside the default, no request dropped meanwhile."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import tritonclient.grpc as grpcclient
from click.testing import CliRunner
from safetensors.torch import save_file

import mmsearch
from mmsearch.cli.main import cli
from mmsearch.clients.triton import Encoder
from mmsearch.errors import ServedTreeError
from mmsearch.models.architecture import load
from mmsearch.models.build import build
from mmsearch.models.deploy import deploy
from mmsearch.models.fusion import registry
from mmsearch.stack import embedded
from mmsearch.stack.state import Home

from ..fakes import small_bert


@pytest.fixture(scope="module")
def own_triton(
    tmp_path_factory: pytest.TempPathFactory, build_models: Callable[[Home], None]
) -> Iterator[tuple[Home, str]]:
    """A server of this file's own, since deploying changes what an unpinned call gets."""
    home = Home.at(tmp_path_factory.mktemp("deploy") / "home")
    build_models(home)
    with embedded.borrowed(home, ("triton",)) as ports:
        yield home, f"127.0.0.1:{ports.triton_grpc}"


def training(folder: Path, name: str) -> Path:
    """What `mmsearch train` leaves, with drawn weights that move every vector."""
    architecture = load(name)
    torch.manual_seed(1)
    fusion = registry.build(architecture)
    weights = {
        key: value + 0.05 * torch.randn_like(value) if value.dim() else value
        for key, value in fusion.state_dict().items()
    }
    folder.mkdir()
    save_file(weights, folder / "fusion.safetensors")
    (folder / "architecture.json").write_text(json.dumps(architecture.data))
    return folder


def column(name: str, values: list[bytes]) -> grpcclient.InferInput:
    given = grpcclient.InferInput(name, [len(values), 1], "BYTES")
    given.set_data_from_numpy(np.array(values, dtype=object).reshape(-1, 1))
    return given


def vectors(
    client: grpcclient.InferenceServerClient, version: str, texts: list[bytes]
) -> tuple[np.ndarray, bytes]:
    inputs = [column("TEXT", texts), column("IMAGE", [b""] * len(texts))]
    answer = client.infer("query_encoder", inputs, model_version=version)
    return answer.as_numpy("EMBEDDING"), answer.as_numpy("FINGERPRINT").ravel()[0]


@pytest.mark.integration
def test_two_trained_versions_are_served_beside_the_first(
    own_triton: tuple[Home, str], tmp_path: Path
) -> None:
    home, triton = own_triton
    failures: list[Exception] = []
    answered, stop = [0], threading.Event()

    def ask() -> None:
        with grpcclient.InferenceServerClient(triton) as own:
            while not stop.is_set():
                try:
                    vectors(own, "1", [b"wooden chair"])
                    answered[0] += 1
                except Exception as error:
                    failures.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for version, name in ((2, "4tmm_gated"), (3, "3tmm_gated")):
            folder = training(tmp_path / name, name)
            command = ["models", "deploy", str(folder), "--precision", "fp32", "--triton", triton]
            result = CliRunner().invoke(cli, [*command, "--repository", str(home.models)])
            assert result.exit_code == 0, result.output
            assert f"version {version} served" in result.output
    finally:
        stop.set()
        asking.join()
    assert not failures
    assert answered[0] > 0

    with grpcclient.InferenceServerClient(triton) as client:
        marks = {vectors(client, "1", [b"lamp"])[1]}
        lowest = 1.0
        for version, name in ((2, "4tmm_gated"), (3, "3tmm_gated")):
            built = build(load(name), "fp32", print, tmp_path / name / "fusion.safetensors")
            with np.load(built.folder / "golden.npz") as opened:
                golden = dict(opened)
            found, mark = vectors(client, str(version), [text.encode() for text in golden["TEXTS"].tolist()])
            assert found.shape[1] == load(name).fusion.dimension
            lowest = min(lowest, float((found * golden["QUERY"]).sum(1).min()))
            assert mark == built.fingerprint.encode()
            marks.add(mark)
    assert len(marks) == 3
    print(f"served in fp32 against trained: lowest cosine {lowest:.7f}")
    assert lowest >= 0.9999
    encoder = Encoder(triton)
    newest = encoder.describe()
    encoder.close()
    assert (newest.version, newest.architecture, newest.dimensions["EMBEDDING"]) == ("3", "3tmm_gated", 384)
    assert newest.fingerprint.encode() == mark


def test_a_folder_without_a_training_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServedTreeError, match=r"expected architecture\.json and fusion\.safetensors"):
        deploy(tmp_path, "int8", tmp_path / "tree", print)


def shop() -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Sixteen products, and a pair with synonyms for each of them."""
    kinds = {"red": "crimson", "blue": "azure", "oak": "wood", "old": "antique"}
    things = {"chair": "seat", "table": "desk", "lamp": "light", "sofa": "couch"}
    names = [(kind, thing) for kind in kinds for thing in things]
    products = [{"id": f"{kind}-{thing}", "title": f"{kind} {thing}"} for kind, thing in names]
    pairs = [
        {"query": f"{kinds[kind]} {things[thing]}", "product_id": f"{kind}-{thing}"} for kind, thing in names
    ]
    return products, pairs


@pytest.mark.integration
@pytest.mark.parametrize("moves", [{"last": 2}, {"lora": {"rank": 2, "alpha": 4}}])
def test_a_trained_text_tower_is_served(
    own_triton: tuple[Home, str], tmp_path: Path, moves: dict[str, object]
) -> None:
    home, triton = own_triton
    encoder = small_bert.encoder(tmp_path / "encoder")
    data = small_bert.data("bibert", encoder, moves, holdout=0.0) | {"name": f"small_{next(iter(moves))}"}
    (tmp_path / "small.json").write_text(json.dumps(data))
    products, pairs = shop()
    run = mmsearch.train(
        str(tmp_path / "small.json"), pairs=pairs, catalog=products, out=tmp_path / "run", seed=1
    )
    shutil.rmtree(encoder)  # the training's folder is complete
    command = ["models", "deploy", str(run.folder), "--precision", "fp32", "--triton", triton]
    result = CliRunner().invoke(cli, [*command, "--repository", str(home.models)])
    assert result.exit_code == 0, result.output
    version = result.output.split("version ")[1].split()[0]

    import sentence_transformers

    model = sentence_transformers.SentenceTransformer(str(run.folder / "towers" / "minilm"), device="cpu")
    texts = ["crimson seat", "oak table lamp"]
    with grpcclient.InferenceServerClient(triton) as client:
        found, _ = vectors(client, version, [text.encode() for text in texts])
        before, _ = vectors(client, "1", [text.encode() for text in texts])
    np.testing.assert_allclose(found, model.encode(texts), atol=1e-4)
    assert before.shape != found.shape
