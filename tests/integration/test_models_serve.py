"""The default models on the real Triton: vectors, refusals, and pictures found by their titles."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest
import tritonclient.grpc as grpcclient
from PIL import Image
from sample_data.furniture import write_catalog
from tritonclient.utils import InferenceServerException

from mmsearch.api.images import image_bytes
from mmsearch.clients.triton import Encoder
from mmsearch.config import cache_folder
from mmsearch.images.decode import pixels
from mmsearch.models.architecture import SLOTS, load
from mmsearch.models.build import ModelSet, build
from mmsearch.models.repository import MODELS
from mmsearch.models.runtime.processor import present
from mmsearch.serving import sessions
from mmsearch.serving.pictures.pixels import Frame, packed
from mmsearch.serving.tokens import Tokens

if TYPE_CHECKING:
    from ..conftest import TritonUnderTest

pytestmark = pytest.mark.integration
ALL = ("EMBEDDING", "TEXT_EMBEDDING", "IMAGE_EMBEDDING", "FINGERPRINT")
Vectors = dict[str, np.ndarray]


@pytest.fixture
def client(triton: TritonUnderTest) -> Iterator[grpcclient.InferenceServerClient]:
    with grpcclient.InferenceServerClient(triton.grpc) as opened:
        yield opened


def column(name: str, values: list[bytes]) -> grpcclient.InferInput:
    given = grpcclient.InferInput(name, [len(values), 1], "BYTES")
    given.set_data_from_numpy(np.array(values, dtype=object).reshape(-1, 1))
    return given


def encode(
    client: grpcclient.InferenceServerClient,
    model: str,
    texts: list[str],
    pictures: list[bytes],
    outputs: tuple[str, ...] = ALL,
) -> Vectors:
    inputs = [column("TEXT", [text.encode() for text in texts]), column("IMAGE", pictures)]
    wanted = [grpcclient.InferRequestedOutput(name) for name in outputs]
    answer = client.infer(model, inputs, outputs=wanted, model_version="1")
    return {name: answer.as_numpy(name) for name in outputs}


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return (left * right).sum(1) / (np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1))


def onnx_file(built: ModelSet, name: str) -> Path:
    if name in built.towers:
        return built.towers[name].onnx(built.precision)
    return built.folder / f"{name}.onnx"


def golden_of(built: ModelSet) -> dict[str, np.ndarray]:
    with np.load(built.folder / "golden.npz") as opened:
        return dict(opened)


@pytest.fixture(scope="module")
def served() -> ModelSet:
    """The set that the shared server serves, in the precision for this processor."""
    return build(load("4tmm_cat"), "mixed" if present().bf16 else "int8", print)


def test_all_eight_models_are_served(client: grpcclient.InferenceServerClient) -> None:
    assert len(MODELS) == 8
    for model in MODELS:
        assert client.is_model_ready(model, "1"), model


def test_the_fingerprint_is_answered_and_stands_in_the_config(
    client: grpcclient.InferenceServerClient, served: ModelSet
) -> None:
    answer = encode(client, "query_encoder", ["a", "b"], [b"", b""], ("FINGERPRINT",))
    assert answer["FINGERPRINT"].ravel().tolist() == [served.fingerprint.encode()] * 2
    for model in ("query_encoder", "item_encoder"):
        config = client.get_model_config(model, as_json=True)["config"]
        assert config["parameters"]["fingerprint"]["string_value"] == served.fingerprint


def test_the_served_vectors_are_those_of_the_same_files_run_directly(
    client: grpcclient.InferenceServerClient, served: ModelSet
) -> None:
    golden = golden_of(served)
    texts = golden["TEXTS"].tolist()
    answer = encode(client, "item_encoder", texts, [png(pixels) for pixels in golden["PIXELS"]])

    def run(name: str, **feeds: np.ndarray) -> np.ndarray:
        session = onnxruntime.InferenceSession(onnx_file(served, name), sessions.exact())
        found: np.ndarray = session.run(None, feeds)[0]
        return found

    ids, mask = Tokens(served.towers["minilm"].tokenizer, 128)(texts)
    by_hand = {
        "TEXT_EMBEDDING": run("minilm", INPUT_IDS=ids, ATTENTION_MASK=mask),
        "IMAGE_EMBEDDING": run("lite0", PIXELS=golden["PIXELS"]),
    }
    by_hand["EMBEDDING"] = run(
        "fusion_item", TEXT=by_hand["TEXT_EMBEDDING"], IMAGE=by_hand["IMAGE_EMBEDDING"]
    )
    # Whatever runtime the calibration has chosen, it stays within its floor.
    exact = by_hand["TEXT_EMBEDDING"]
    assert cosines(answer["TEXT_EMBEDDING"], exact).min() >= (0.9999 if served.precision == "fp32" else 0.998)
    assert np.median(cosines(answer["IMAGE_EMBEDDING"], by_hand["IMAGE_EMBEDDING"])) >= 0.99
    assert cosines(answer["EMBEDDING"], by_hand["EMBEDDING"]).min() >= 0.98
    # int8 and bf16 differ from torch by what they cost, and by no more.
    assert cosines(answer["EMBEDDING"], golden["ITEM"]).min() >= 0.98


def test_fp32_files_answer_what_torch_answers() -> None:
    exported = build(load("4tmm_cat"), "fp32", print)
    golden = golden_of(exported)

    def run(name: str, **feeds: np.ndarray) -> np.ndarray:
        session = onnxruntime.InferenceSession(onnx_file(exported, name))
        found: np.ndarray = session.run(None, feeds)[0]
        return found

    ids, mask = Tokens(exported.towers["minilm"].tokenizer, 128)(golden["TEXTS"].tolist())
    text = run("minilm", INPUT_IDS=ids, ATTENTION_MASK=mask)
    image = run("lite0", PIXELS=golden["PIXELS"])
    query = run("fusion_query", TEXT=text, CLIP_TEXT=text, IMAGE=np.zeros_like(text))
    assert cosines(query, golden["QUERY"]).min() >= 0.9999
    assert cosines(run("fusion_item", TEXT=text, IMAGE=image), golden["ITEM"]).min() >= 0.9999


def test_each_row_has_the_modalities_that_it_came_with(client: grpcclient.InferenceServerClient) -> None:
    picture = png(np.full((50, 40, 3), 90, np.uint8))
    answer = encode(client, "item_encoder", ["lamp", "", "lamp"], [b"", picture, picture])
    assert [bool(np.any(row)) for row in answer["TEXT_EMBEDDING"]] == [True, False, True]
    assert [bool(np.any(row)) for row in answer["IMAGE_EMBEDDING"]] == [False, True, True]
    np.testing.assert_allclose(np.linalg.norm(answer["EMBEDDING"], axis=1), 1, atol=1e-5)
    query = encode(client, "query_encoder", ["lamp", ""], [b"", picture])
    assert np.any(query["IMAGE_EMBEDDING"][0])  # a text looks into the picture space too
    np.testing.assert_allclose(query["IMAGE_EMBEDDING"][1], answer["IMAGE_EMBEDDING"][1], atol=1e-4)


def test_a_picture_has_one_vector_however_it_comes(
    client: grpcclient.InferenceServerClient, triton: TritonUnderTest, furniture: tuple[Any, Path]
) -> None:
    """As pixels by ingest, as a file by another client, and as the image of a query, of every format."""
    products, folder = furniture
    opened = Encoder(triton.grpc)
    try:
        frame = opened.describe().frame()
    finally:
        opened.close()
    assert frame == Frame(224, "pad")
    for kind in ("GIF", "WEBP", "PNG", "JPEG", "TIFF", "AVIF"):
        files = []
        for product in products[:200:10]:
            with Image.open(folder / product["image"]) as image:
                out = io.BytesIO()
                image.convert("RGB").resize((420, 300)).save(out, kind)
                files.append(out.getvalue())
        nothing = [""] * len(files)
        sent = [packed(pixels(file, frame), frame) for file in files]
        taken = [image_bytes(file) for file in files]
        as_pixels = encode(client, "item_encoder", nothing, sent)["IMAGE_EMBEDDING"]
        for model in ("item_encoder", "query_encoder"):
            encoded = encode(client, model, nothing, taken)["IMAGE_EMBEDDING"]
            assert cosines(as_pixels, encoded).min() >= 0.9999, (kind, model)


def test_small_towers_run_inside_the_entry_models_and_answer_the_same(
    client: grpcclient.InferenceServerClient, triton: TritonUnderTest
) -> None:
    """A query makes no other model work; a product does where its towers are to remember it."""

    def worked() -> dict[str, int]:
        return {
            model: client.get_inference_statistics(model).model_stats[0].inference_count for model in SLOTS
        }

    picture = png(np.full((50, 40, 3), 90, np.uint8))
    before = worked()
    query = encode(client, "query_encoder", ["lamp", ""], [b"", picture])
    assert worked() == before
    item = encode(client, "item_encoder", ["lamp"], [picture])
    # In fp32 the text tower of items is too large for each process of the entry model.
    before["bibert_item"] += present().bf16
    assert worked() == before
    asked = Encoder(triton.grpc, remember=True)
    try:
        (by_call,) = asked.encode([(b"lamp", picture)], asked.describe(), ["EMBEDDING"])
    finally:
        asked.close()
    after = worked()
    assert {model for model in SLOTS if after[model] > before[model]} == {"bibert_item", "clip_image"}
    assert cosines(by_call, item["EMBEDDING"]).min() >= 0.9999
    assert cosines(query["IMAGE_EMBEDDING"][1:], item["IMAGE_EMBEDDING"]).min() >= 0.9999


@pytest.mark.parametrize(
    ("text", "picture", "message"),
    [
        (b"", b"", "got neither in row 0"),
        (b"lamp", b"no picture", "expected a whole JPEG, PNG, WebP or GIF"),
        (b"lamp", b"MMPX", "expected a header of 8 bytes before pixels, got 4"),
        (b"lamp", packed(np.zeros((8, 8, 3), np.uint8), Frame(8)), "expected 224 x 224 pixels .*, got 8 x 8"),
        (b"lamp", packed(np.zeros((224, 224, 3), np.uint8), Frame(224))[:-1], "expected 150536 bytes"),
        (b"lamp" * 20_000, b"", "of at most 65536 bytes, got 80000"),
        (b"\xff\xfe", b"", "broken byte at position 0"),
    ],
)
def test_a_bad_request_is_refused_alone(
    client: grpcclient.InferenceServerClient, text: bytes, picture: bytes, message: str
) -> None:
    good = [column("TEXT", [b"wooden chair"]), column("IMAGE", [b""])]
    bad = [column("TEXT", [text]), column("IMAGE", [picture])]
    # Sent together, so that they can meet in one dynamic batch.
    with ThreadPoolExecutor(5) as pool:
        calls = [pool.submit(client.infer, "item_encoder", inputs) for inputs in (good, bad, good, bad, good)]
    for number, call in enumerate(calls):
        if number % 2:
            with pytest.raises(InferenceServerException, match=message) as refused:
                call.result()
            assert "INVALID_ARGUMENT" in str(refused.value.status())
        else:
            assert call.result().as_numpy("EMBEDDING").shape == (1, 768)


@pytest.mark.parametrize("model", ["query_encoder", "item_encoder"])
def test_a_text_without_a_known_word_is_refused_by_its_rows(
    client: grpcclient.InferenceServerClient, model: str
) -> None:
    """With a code that clients recognize, alone in a batch, and with a picture too."""
    picture = png(np.full((30, 30, 3), 90, np.uint8))
    unread = ["chair", "🪑", "ソファ", "\x01\u200b", "[UNK]", "🪑!"]
    calls = [
        ([b"chair"], [b""], ""),
        ([text.encode() for text in unread], [b""] * 6, "unreadable_text: in row 1 2 3 4 5: expected"),
        (["ソファ".encode()], [picture], "unreadable_text: in row 0: expected"),
        ([b"", b"lamp"], [picture, b""], ""),
    ]
    with ThreadPoolExecutor(4) as pool:
        running = [
            (pool.submit(client.infer, model, [column("TEXT", texts), column("IMAGE", pictures)]), message)
            for texts, pictures, message in calls
        ]
    for call, message in running:
        if message:
            with pytest.raises(InferenceServerException, match=message) as refused:
                call.result()
            assert "INVALID_ARGUMENT" in str(refused.value.status())
        else:
            assert np.isfinite(call.result().as_numpy("EMBEDDING")).all()


def test_letters_of_every_width_have_one_vector(client: grpcclient.InferenceServerClient) -> None:
    found = encode(client, "query_encoder", ["chair 1", "ＣＨＡＩＲ\u3000①", "lamp 1"], [b""] * 3)[
        "EMBEDDING"
    ]
    np.testing.assert_array_equal(found[0], found[1])
    assert cosines(found[:1], found[2:])[0] < 0.9


@pytest.fixture(scope="module")
def furniture(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, str]], Path]:
    folder = tmp_path_factory.mktemp("furniture")
    catalog = write_catalog(folder, cache_folder())
    return [json.loads(line) for line in catalog.read_text(encoding="utf-8").splitlines()], folder


def test_titles_find_their_pictures_and_a_chair_finds_chairs(
    client: grpcclient.InferenceServerClient,
    furniture: tuple[list[dict[str, str]], Path],
    record_property: Callable[[str, object], None],
) -> None:
    products, folder = furniture
    pictures = [(folder / product["image"]).read_bytes() for product in products]
    halves = np.concatenate(
        [
            encode(client, "item_encoder", [""] * len(part), part, ("IMAGE_EMBEDDING",))["IMAGE_EMBEDDING"]
            for part in (pictures[start : start + 64] for start in range(0, len(pictures), 64))
        ]
    )
    titles = sorted({product["title"] for product in products})
    queries = np.concatenate(
        [
            encode(client, "query_encoder", part, [b""] * len(part), ("IMAGE_EMBEDDING",))["IMAGE_EMBEDDING"]
            for part in (titles[start : start + 64] for start in range(0, len(titles), 64))
        ]
    )
    relevant = np.array([[product["title"] == title for product in products] for title in titles])
    top = np.argsort(-(queries @ halves.T), axis=1, kind="stable")[:, :10]
    recall = float(np.mean(np.take_along_axis(relevant, top, 1).sum(1) / relevant.sum(1)))
    record_property("picture R@10", recall)
    print(f"R@10 of {len(titles)} titles against {len(products)} pictures: {recall:.3f}")
    assert recall >= 0.30

    seats = [number for number, product in enumerate(products) if "chair" in product["title"].lower()]
    near = np.argsort(-(halves[seats] @ halves.T), axis=1, kind="stable")[:, 1:6]
    assert np.isin(near, seats).mean() >= 5 * len(seats) / len(products)
