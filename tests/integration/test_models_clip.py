"""A CLIP pair on the real Triton: what it serves is what open_clip itself answers."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
import tritonclient.grpc as grpcclient
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import save_file
from sample_data.furniture import write_catalog

from mmsearch.cli.main import cli
from mmsearch.config import cache_folder
from mmsearch.models import architecture as architectures
from mmsearch.models.build import build
from mmsearch.models.fusion import registry
from mmsearch.serving.pictures.images import decode
from mmsearch.serving.pictures.pixels import Frame
from mmsearch.serving.tokens import Tokens
from mmsearch.stack import embedded
from mmsearch.stack.state import Home

from ..fakes.small_clip import SIZE, alone, beside_minilm

pytestmark = pytest.mark.integration
TEXTS = ["A Red  chair, isn't it?", "Bücherregal 120cm", "lamp", "word " * 100, "a sofa & two cushions"]


@dataclass(frozen=True)
class Served:
    """A server with the small CLIP as version 1 of every model, and the architecture's data."""

    home: Home
    triton: str
    data: dict[str, Any]

    @property
    def model(self) -> Any:
        """The same CLIP as open_clip itself loads it."""
        tower = self.data["towers"]["words"]
        open_clip.add_model_config(Path(tower["model"]))
        return open_clip.create_model("Small-CLIP", pretrained=tower["weights"], pretrained_text=False).eval()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Built by `mmsearch models build`, on a server of this file's own."""
    folder = tmp_path_factory.mktemp("clip")
    home = Home.at(folder / "home")
    data = alone(folder)
    (folder / "clip.json").write_text(json.dumps(data))
    command = ["models", "build", "--architecture", str(folder / "clip.json"), "--precision", "fp32"]
    built = CliRunner().invoke(cli, [*command, "--repository", str(home.models)])
    assert built.exit_code == 0, built.output
    with embedded.borrowed(home, ("triton",), ready_within=120) as ports:
        yield Served(home, f"127.0.0.1:{ports.triton_grpc}", data)


@pytest.fixture
def client(served: Served) -> Iterator[grpcclient.InferenceServerClient]:
    with grpcclient.InferenceServerClient(served.triton) as opened:
        yield opened


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Pictures of furniture, as many as there are texts."""
    folder = tmp_path_factory.mktemp("furniture")
    lines = write_catalog(folder, cache_folder()).read_text(encoding="utf-8").splitlines()
    return [(folder / json.loads(line)["image"]).read_bytes() for line in lines[:: len(lines) // 5]][:5]


def given(name: str, array: np.ndarray, kind: str) -> grpcclient.InferInput:
    tensor = grpcclient.InferInput(name, list(array.shape), kind)
    tensor.set_data_from_numpy(array)
    return tensor


def entry(
    client: grpcclient.InferenceServerClient,
    model: str,
    texts: list[str],
    pictures: list[bytes],
    version: str = "1",
) -> np.ndarray:
    columns = {"TEXT": [text.encode() for text in texts], "IMAGE": pictures}
    inputs = [
        given(name, np.array(values, dtype=object).reshape(-1, 1), "BYTES")
        for name, values in columns.items()
    ]
    return client.infer(model, inputs, model_version=version).as_numpy("EMBEDDING")


def said(model: Any, texts: list[str]) -> np.ndarray:
    """What open_clip answers to texts."""
    with torch.inference_mode():
        found: np.ndarray = model.encode_text(open_clip.SimpleTokenizer()(texts), normalize=True).numpy()
    return found


def features_of(model: Any, pixels: np.ndarray) -> np.ndarray:
    """What open_clip answers to pixels, uint8 [n, size, size, 3], by its own mean and deviation."""
    scaled = [open_clip.image_transform(SIZE, is_train=False)(Image.fromarray(picture)) for picture in pixels]
    with torch.inference_mode():
        found: np.ndarray = model.encode_image(torch.stack(scaled), normalize=True).numpy()
    return found


def lowest(left: np.ndarray, right: np.ndarray) -> float:
    assert left.shape == right.shape
    return float((left * right).sum(1).min())


def test_both_towers_answer_as_open_clip_does(
    served: Served, client: grpcclient.InferenceServerClient, pictures: list[bytes]
) -> None:
    ids, mask = Tokens(served.home.models / "query_encoder/1/words.tokenizer.json", 77, 77)(TEXTS)
    inputs = [given("INPUT_IDS", ids, "INT64"), given("ATTENTION_MASK", mask, "INT64")]
    text = client.infer("clip_text", inputs, model_version="1").as_numpy("FEATURES")
    assert lowest(text, said(served.model, TEXTS)) >= 0.9999
    pixels = np.stack([decode(picture, Frame(SIZE, "crop")) for picture in pictures])
    image = client.infer("clip_image", [given("PIXELS", pixels, "UINT8")], model_version="1")
    assert lowest(image.as_numpy("FEATURES"), features_of(served.model, pixels)) >= 0.9999


def test_the_entry_models_answer_as_open_clip_does(
    served: Served, client: grpcclient.InferenceServerClient, pictures: list[bytes]
) -> None:
    query = entry(client, "query_encoder", TEXTS, [b""] * len(TEXTS))
    assert lowest(query, said(served.model, TEXTS)) >= 0.9999
    item = entry(client, "item_encoder", TEXTS, pictures)
    pixels = np.stack([decode(picture, Frame(SIZE, "crop")) for picture in pictures])
    assert lowest(item, features_of(served.model, pixels)) >= 0.9999
    # The pictures differ, so that equal vectors for all of them would be noticed.
    assert lowest(item[1:], item[:-1]) < 0.999


def test_pictures_are_laid_into_the_square_as_open_clip_lays_them(
    served: Served, client: grpcclient.InferenceServerClient, pictures: list[bytes]
) -> None:
    item = entry(client, "item_encoder", [""] * len(pictures), pictures)
    transform = open_clip.image_transform(SIZE, is_train=False)
    whole = []
    for picture in pictures:
        opened = Image.open(io.BytesIO(picture)).convert("RGBA")
        white = Image.new("RGBA", opened.size, "white")
        whole.append(transform(Image.alpha_composite(white, opened).convert("RGB")))
    with torch.inference_mode():
        theirs = served.model.encode_image(torch.stack(whole), normalize=True).numpy()
    assert lowest(item, theirs) >= 0.999


def test_a_training_over_the_same_clip_is_served_beside_it(
    served: Served,
    client: grpcclient.InferenceServerClient,
    pictures: list[bytes],
    tmp_path: Path,
) -> None:
    data = beside_minilm(tmp_path)
    data["towers"] |= served.data["towers"]
    architecture = architectures.parse(data)
    torch.manual_seed(1)
    fusion = registry.build(architecture)
    weights = {
        name: value + 0.05 * torch.randn_like(value) if value.dim() else value
        for name, value in fusion.state_dict().items()
    }
    (tmp_path / "run").mkdir()
    save_file(weights, tmp_path / "run" / "fusion.safetensors")
    (tmp_path / "run" / "architecture.json").write_text(json.dumps(data))
    command = ["models", "deploy", str(tmp_path / "run"), "--precision", "fp32", "--triton", served.triton]
    deployed = CliRunner().invoke(cli, [*command, "--repository", str(served.home.models)])
    assert deployed.exit_code == 0, deployed.output
    assert "version 2 served" in deployed.output
    built = build(architecture, "fp32", print, tmp_path / "run" / "fusion.safetensors")
    with np.load(built.folder / "golden.npz") as opened:
        golden = dict(opened)
    texts = golden["TEXTS"].tolist()
    query = entry(client, "query_encoder", texts, [b""] * len(texts), "2")
    assert lowest(query, golden["QUERY"]) >= 0.9999
    # The CLIP's towers are the very ones that version 1 serves; only the rest is new.
    assert not (served.home.models / "clip_image" / "2").exists()
    assert (served.home.models / "bibert_query" / "2").exists()
    item = entry(client, "item_encoder", texts, pictures, "2")
    assert item.shape == (5, 408)
    assert lowest(entry(client, "query_encoder", texts, [b""] * 5), said(served.model, texts)) >= 0.9999
