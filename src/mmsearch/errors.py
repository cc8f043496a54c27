"""The exception tree of mmsearch, drawn once.

    MmsearchError               every failure that one sentence explains: expected, got, repair
    ├── ArgumentError           a function of the Python API was called with what it does not take
    ├── MissingPackageError     a package that an extra brings is not installed
    ├── StackError              an embedded server could not be fetched, started, reached or stopped
    │   └── Answered            it answered with an error (stack/loopback.py)
    ├── SearchError             a search was refused, or the question is incomplete
    ├── CallError               one request failed; what that means is for the caller to say
    │   ├── AwayError           the server is away, starting or overloaded
    │   ├── HttpError           OpenSearch answered with an error (clients/opensearch.py)
    │   └── FaultError          the encoder failed on a batch
    ├── ModelError              something around models cannot be used
    │   ├── ArchitectureError   the data file of an architecture does not hold together
    │   ├── WeightsError        weights are missing or are not the pinned ones
    │   ├── TrainingError       training data or numbers that cannot be trained with
    │   ├── ServedTreeError     the served model repository is not in the state that was expected
    │   ├── ComparisonError     two indices could not be compared
    │   └── NotMovedError       a new index is there, and the alias stays on the old one
    ├── IngestError             a run of ingest cannot go on
    │   ├── CatalogError        the catalog or the rejects file cannot be read
    │   ├── EncoderError        Triton's answer cannot be used: wrong model, shape, count or fingerprint
    │   ├── MismatchError       the index belongs to another encoder or to no encoder
    │   ├── UnreachableError    a server does not answer, or not any more
    │   ├── UntrustedError      a server's certificate does not verify, or the server wants ours
    │   ├── BlockedError        OpenSearch takes nothing: rights, a block, an index that is closed or gone
    │   ├── FolderError         a file that the run needs cannot be written
    │   ├── StoppedError        a key or a signal ended the run
    │   └── RottenError         more was lost than --max-rejects or --max-without-image allows
    └── Rejection               one product cannot be taken; a run goes on and lists it in its rejects
        ├── RecordError         its line is not a record
        ├── PictureError        its picture cannot be used
        ├── RefusedError        the encoder refuses it
        └── DocumentError       OpenSearch refuses it

The command line prints an MmsearchError's `sentence` as one line on stderr and exits 1; anything else is a
bug and keeps its traceback.
"""

from __future__ import annotations


class MmsearchError(Exception):
    """A failure that its message explains in one sentence: what was expected, what came, and the repair."""

    def sentence(self) -> str:
        """Expected, got, repair."""
        return str(self)


class ArgumentError(MmsearchError):
    """A function was called with arguments that it does not take, or that do not go together."""


class MissingPackageError(MmsearchError):
    """A package is not installed; the message names the extra that brings it."""


class StackError(MmsearchError):
    """An embedded server could not be fetched, started, reached or stopped."""


class IngestError(MmsearchError):
    """A run of ingest cannot go on."""


class CatalogError(IngestError):
    """The catalog or the rejects file cannot be read."""


class EncoderError(IngestError):
    """Triton's answer cannot be used: wrong model, shape, count, fingerprint or numbers."""


class MismatchError(IngestError):
    """The index belongs to another encoder than the one served, or to none."""


class UnreachableError(IngestError):
    """A server does not answer, or does not answer any more."""


class UntrustedError(IngestError):
    """A server's certificate does not verify, or the server does not take ours; waiting mends neither."""


class BlockedError(IngestError):
    """OpenSearch takes nothing from this run: a right, a block, or an index that is closed or gone."""


class FolderError(IngestError):
    """A file that the run needs cannot be written."""


class StoppedError(IngestError):
    """A key or a signal ended the run."""


class RottenError(IngestError):
    """More was lost than --max-rejects or --max-without-image allows."""


class SearchError(MmsearchError):
    """The search was refused, or the question is incomplete."""


class CallError(MmsearchError):
    """One request to a server failed. Who sent it knows what that means; `sentence` is for others."""


class AwayError(CallError):
    """A call failed because the server is away, starting or overloaded; the same call may succeed later."""

    def __init__(self, server: str, why: str) -> None:
        super().__init__(why)
        self.server = server
        self.why = why

    def sentence(self) -> str:
        return f"expected {self.server} to answer, got {self.why}; start it, for example by: mmsearch up"


class FaultError(CallError):
    """The encoder failed on a batch (INTERNAL, UNKNOWN): a dead stub, or one item that kills it."""

    def sentence(self) -> str:
        return f"expected Triton to encode a batch, got {self}; read its log by: mmsearch logs triton"


class Rejection(MmsearchError):  # noqa: N818 - an outcome of one product, not a failure of the program
    """One product cannot be taken: `reason` is a stable code, `message` one sentence for people."""

    stage = "read"

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message

    def __reduce__(self) -> tuple[type[Rejection], tuple[str, str]]:
        return type(self), (self.reason, self.message)


class RecordError(Rejection):
    """A line is not a record: `field` and `value` say where (both empty when the whole line is broken).

    `identifier` is the record's id where it could be read.
    """

    def __init__(self, reason: str, message: str, *, line: int = 0, field: str = "", value: str = "") -> None:
        super().__init__(reason, message)
        self.line = line
        self.field = field
        self.value = value
        self.identifier = ""


class PictureError(Rejection):
    """A picture cannot be used: missing, outside the root, too large, broken, or of no format we read."""

    stage = "image"


class RefusedError(Rejection):
    """The encoder refuses one product with INVALID_ARGUMENT."""

    stage = "encode"


class DocumentError(Rejection):
    """OpenSearch refuses one document with a 4xx that no retry mends."""

    stage = "index"


class ModelError(MmsearchError):
    """The base of all of them; its text is one sentence."""


class ArchitectureError(ModelError):
    """An architecture's data file is missing, malformed or contradicts itself."""


class WeightsError(ModelError):
    """Weights are not installed, or their hash is not the pinned one."""


class ServedTreeError(ModelError):
    """The served model repository cannot be written or is not what a command needs."""


class TrainingError(ModelError):
    """Training data or numbers cannot be trained with."""


class ComparisonError(ModelError):
    """Two indices could not be compared: a search failed, or there was nothing to ask by."""


class NotMovedError(ModelError):
    """A new index lacks what the old one has, or could not be checked; the alias stays on the old one."""
