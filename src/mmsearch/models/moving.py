"""Which weights of a tower a training changes: `train` of a tower in an architecture's data file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mmsearch.errors import ArchitectureError

EXPECTED = '"frozen", "all", {"last": 2} or {"lora": {"rank": 8, "alpha": 16}}'


@dataclass(frozen=True, slots=True)
class Moving:
    """`how` is frozen, all, last or lora.

    `last` is the number of upper layers that are trained; `rank` and `alpha` are those of the low-rank
    adapters on every linear layer (LoRA, arXiv 2106.09685).
    """

    how: str = "frozen"
    last: int = 0
    rank: int = 0
    alpha: int = 0

    def __bool__(self) -> bool:
        return self.how != "frozen"

    @classmethod
    def of(cls, value: Any, tower: str) -> Moving:
        """Read the value of a data file. Raise ArchitectureError."""
        match value:
            case None | "frozen":
                return FROZEN
            case "all":
                return cls("all")
            case {"last": int(last), **rest} if last > 0 and not rest and not isinstance(last, bool):
                return cls("last", last=last)
            case {"lora": {"rank": int(rank), "alpha": int(alpha), **more}, **rest} if (
                rank > 0 and alpha > 0 and not rest and not more
            ):
                return cls("lora", rank=rank, alpha=alpha)
        raise ArchitectureError(
            f"expected `train` of tower {tower} as {EXPECTED}, got {value!r}; correct the data file"
        )


FROZEN = Moving()
