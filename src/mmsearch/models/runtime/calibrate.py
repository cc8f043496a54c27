"""Choose the runtime of each tower of a served repository by a measurement of seconds, and write it down.

`runtime.json` at the top of the repository has the processor, the choices and all figures; each version
folder has the choices that its model reads.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mmsearch.config import cache_folder
from mmsearch.errors import ModelError
from mmsearch.models.runtime import measure
from mmsearch.models.runtime.defaults import default_choice
from mmsearch.models.runtime.measure import Figures, Tower
from mmsearch.models.runtime.processor import Processor, present
from mmsearch.models.runtime.record import ITEM, PICTURE, QUERY, RECORD, read
from mmsearch.models.weights import file_hash
from mmsearch.serving import runtime
from mmsearch.serving.runtime import Choice
from mmsearch.serving.sessions import on_cpu_alone
from mmsearch.serving.tokens import Tokens

AUTO = "auto"
SETTINGS = {
    QUERY: "MMSEARCH_QUERY_RUNTIME",
    ITEM: "MMSEARCH_ITEM_RUNTIME",
    PICTURE: "MMSEARCH_PICTURE_RUNTIME",
}
"""role → environment variable that overrides the choice: `RUNTIME[-PRECISION][:ROWS[:THREADS]]`"""
ENTRIES = {"query_encoder": QUERY, "item_encoder": ITEM}
TEXT_SIZES, PICTURE_SIZES = (4, 8, 16), (1, 2, 4, 8, 16)
TEXT_FLOOR = 0.9999
"""lowest cosine of a text tower's vectors to fp32"""
INT8_FLOOR = 0.999
"""mean cosine of another runtime's int8 to onnxruntime's"""
PICTURE_FLOOR = (0.995, 0.98)
"""median and lowest cosine of a picture tower's vectors to fp32"""
MARGIN = {ITEM: 0.95, PICTURE: 0.95, QUERY: 0.8}
"""share of onnxruntime's time that another runtime may take at most

OpenVINO hands a lone query to another thread, which costs more on a busy machine than in the measurement.
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A tower of a version of an entry model, and where its files are."""

    entry: Path
    model: Path
    tower: Tower


def calibrate(tree: Path, say: Callable[[str], None], processor: Processor | None = None) -> bool:
    """Choose and write the runtimes of every tower in `tree`. Return whether a file changed.

    A choice is measured once for a file on a processor and kept in the cache. Nothing is measured where the
    towers run on a GPU. Raise ModelError for an override that this machine cannot run.
    """
    if not on_cpu_alone():
        return False
    processor = processor or present()
    settings = {role: os.environ.get(name, "").strip() or AUTO for role, name in SETTINGS.items()}
    made_by = {"processor": asdict(processor), "versions": _versions(), "settings": settings}
    before = read(tree)
    if before == {**before, **made_by} and _is_written(tree, before["towers"]):
        return False
    towers: dict[str, Any] = {}
    entries: dict[Path, dict[str, Choice]] = {}
    for place in places(tree):
        name = f"{place.model.parent.name}/{place.model.name}"
        if name not in towers:
            towers[name] = _chosen(place.tower, processor, made_by, say)
        choice = Choice(**towers[name]["choice"])
        entries.setdefault(place.entry, {})[place.model.parent.name] = choice
        entries[place.model] = {place.model.parent.name: choice}
    record = made_by | {"towers": towers}
    for folder, chosen in entries.items():
        runtime.write(folder, chosen)
    draft = tree / f".{RECORD}"
    draft.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    draft.replace(tree / RECORD)
    return True


def places(tree: Path) -> Iterator[Place]:
    """Yield the towers that the entry models of a served repository call."""
    for name, entry, role, about in _called(tree):
        model = tree / name
        default = default_choice(
            about["precision"],
            pictures=role == PICTURE,
            fixed_length=about.get("pad_to") is not None,
        )
        file = model / "model.onnx"
        if role == PICTURE:
            yield Place(entry, model, Tower(file, role, default, size=int(about["size"])))
        else:
            tokens = Tokens(entry / about["tokenizer"], about["max_tokens"], about["pad_to"])
            yield Place(entry, model, Tower(file, role, default, tokens))


def _is_written(tree: Path, towers: Mapping[str, Any]) -> bool:
    """Return whether the called towers alone have a record, and they and their callers its choice."""
    called = list(_called(tree))
    if {name for name, *_ in called} != set(towers):
        return False
    for name, entry, *_ in called:
        model = name.partition("/")[0]
        chosen = Choice(**towers[name]["choice"])
        if not all(runtime.read(folder).get(model) == chosen for folder in (entry, tree / name)):
            return False
    return True


def _called(tree: Path) -> Iterator[tuple[str, Path, str, dict[str, Any]]]:
    """Yield model/version, the entry model's version folder, role and description of each called tower."""
    for entry, role in ENTRIES.items():
        for file in sorted((tree / entry).glob("[0-9]*/serving.json")):
            about = json.loads(file.read_text(encoding="utf-8"))
            roles = [(tower, role) for tower in about["text_towers"]] + [(about["picture_tower"], PICTURE)]
            for tower, its_role in roles:
                # A tree of an earlier release runs its own code, without a choice.
                if tower is not None and "precision" in tower:
                    yield f"{tower['model']}/{tower['version']}", file.parent, its_role, tower


def within_floor(figures: Figures, role: str) -> bool:
    """Return whether the vectors of a measured choice are as close to the reference as `role` demands."""
    if figures.choice.precision == "int8":
        return figures.cosine_mean >= INT8_FLOOR
    if role == PICTURE:
        return figures.cosine_median >= PICTURE_FLOOR[0] and figures.cosine_lowest >= PICTURE_FLOOR[1]
    return figures.cosine_lowest >= TEXT_FLOOR


def choose(measured: list[Figures], role: str) -> Figures:
    """Return the fastest within the floor; the first, onnxruntime on the same file, unless another one saves
    what `MARGIN` demands.
    """
    first, *others = measured
    fit = [each for each in others if within_floor(each, role)]
    best = min(fit, key=lambda each: each.milliseconds, default=first)
    return best if best.milliseconds <= MARGIN[role] * first.milliseconds else first


def _chosen(
    tower: Tower, processor: Processor, made_by: Mapping[str, Any], say: Callable[[str], None]
) -> dict[str, Any]:
    """Return the record of a tower, from the cache or measured now."""
    setting = made_by["settings"][tower.role]
    wanted = override(setting, tower, processor.bf16)
    key = _key(tower, {**made_by, "settings": setting})
    cached = cache_folder("models", "runtimes", f"{key}.json")
    if cached.exists():
        found: dict[str, Any] = json.loads(cached.read_text(encoding="utf-8"))
        return found
    say(f"measuring the runtimes of the {tower.role} tower on {processor.name} ({processor.units})")
    found = _measured(tower, processor, wanted)
    cached.parent.mkdir(parents=True, exist_ok=True)
    draft = cached.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    draft.replace(cached)
    return found


def _measured(tower: Tower, processor: Processor, wanted: Choice | None) -> dict[str, Any]:
    measured = measure.compare(tower, list(measure.candidates(tower, processor.bf16)))
    if wanted is None:
        best = choose(measured, tower.role)
        choice = best.choice
    else:
        choice = wanted
        best = next(each for each in measured if each.choice.name == choice.name)
    rows: dict[int, float] = {}
    threads: dict[int, float] = {}
    if wanted is None or not wanted.most:
        sizes = PICTURE_SIZES if tower.role == PICTURE else TEXT_SIZES
        most = tower.default.most
        if tower.role != QUERY:
            most, rows = measure.best_rows(tower, replace(choice, threads=1), sizes)
        choice = replace(choice, most=most)
    if wanted is None or not wanted.threads:
        choice = replace(choice, threads=1)
        counts = [count for count in (1, 2, 4) if count <= processor.cores]
        if len(counts) > 1:
            count, threads = measure.best_threads(tower, choice, counts)
            choice = replace(choice, threads=count)
    return {
        "role": tower.role,
        "choice": asdict(choice),
        "overridden": wanted is not None,
        "milliseconds": min(rows.values(), default=best.milliseconds),
        "cosine_median": best.cosine_median,
        "cosine_lowest": best.cosine_lowest,
        "overlap": best.overlap,
        "candidates": [
            {
                "name": each.choice.name,
                "milliseconds": each.milliseconds,
                "cosine_mean": each.cosine_mean,
                "cosine_median": each.cosine_median,
                "cosine_lowest": each.cosine_lowest,
                "overlap": each.overlap,
                "within_floor": within_floor(each, tower.role),
            }
            for each in measured
        ],
        "milliseconds_by_rows": {str(size): spent for size, spent in rows.items()},
        "milliseconds_by_threads": {str(count): spent for count, spent in threads.items()},
    }


def override(setting: str, tower: Tower, bf16: bool) -> Choice | None:
    """Return the choice that a setting names, None for `auto`. Rows or threads of 0 are to be measured.

    Raise ModelError for a setting that this machine cannot run.
    """
    if setting == AUTO:
        return None
    name, *numbers = setting.split(":")
    runnable = list(measure.candidates(tower, bf16))
    fit = [each for each in runnable if name in (each.name, each.runtime)]
    if not fit or len(numbers) > 2 or not all(each.isdigit() and 1 <= int(each) <= 64 for each in numbers):
        raise ModelError(
            f"expected {SETTINGS[tower.role]} to be auto or one of "
            f"{', '.join(each.name for each in runnable)}, with :ROWS:THREADS of 1 to 64 if wanted, "
            f"got {setting!r}; correct it"
        )
    most, threads = [*map(int, numbers), 0, 0][:2]
    return replace(fit[0], most=most, threads=threads)


def _key(tower: Tower, made_by: Mapping[str, Any]) -> str:
    content = [file_hash(tower.file), tower.role, asdict(tower.default), made_by]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for code in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(code.read_bytes())
    return digest.hexdigest()[:16]


def _versions() -> dict[str, str]:
    found = {}
    for name in (runtime.ONNXRUNTIME, runtime.OPENVINO):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "none"
    return found
