"""The exception tree of mmsearch.

    MmsearchError               base class; the message is one sentence: expected, got, repair
    ├── ArgumentError           invalid arguments in a call of the Python API
    ├── MissingPackageError     an optional package is not installed
    ├── StackError              an embedded server could not be downloaded, started, reached or stopped
    │   └── Answered            the server returned an error (stack/loopback.py)
    ├── SearchError             the search was rejected, or the query is incomplete
    ├── CallError               one request failed; the caller decides what follows
    │   ├── AwayError           the server is unreachable, starting or overloaded
    │   ├── HttpError           OpenSearch returned an error (clients/opensearch.py)
    │   └── FaultError          the encoder failed on a batch
    ├── ModelError              a model, its data or its index cannot be used
    │   ├── ArchitectureError   the data file of an architecture is invalid
    │   ├── WeightsError        weights are missing or do not match the pinned hash
    │   ├── TrainingError       the training data or the results cannot be used
    │   ├── ServedTreeError     the served model repository is not in the expected state
    │   ├── ComparisonError     two indices could not be compared
    │   └── NotMovedError       the new index failed a check; the alias was not moved
    ├── IngestError             a run of ingest cannot continue
    │   ├── CatalogError        the catalog or the rejects file cannot be read
    │   ├── EncoderError        unusable response of Triton: wrong model, shape, count or fingerprint
    │   ├── MismatchError       the index was built with another encoder, or without one
    │   ├── UnreachableError    a server does not respond, or no longer responds
    │   ├── UntrustedError      TLS verification failed on the server's side or on ours
    │   ├── BlockedError        OpenSearch rejects writes: permissions, a block, a closed or missing index
    │   ├── FolderError         a file that the run needs cannot be written
    │   ├── StoppedError        a key or a signal stopped the run
    │   └── RottenError         losses exceed --max-rejects or --max-without-image
    └── Rejection               one product cannot be indexed; the run continues and lists it as rejected
        ├── RecordError         the line is not a valid record
        ├── PictureError        the image cannot be used
        ├── RefusedError        the encoder rejected the product
        │   └── UnreadableError the encoder knows none of the text's words (clients/triton.py)
        └── DocumentError       OpenSearch rejected the document

The command line prints the `sentence` of an MmsearchError as one line on stderr and exits 1. Any other
exception is a bug and is shown with its traceback.
"""

from __future__ import annotations


class MmsearchError(Exception):
    """Base class of all expected failures. The message is one sentence: what was expected, what was received,
    and how to repair it.
    """

    def sentence(self) -> str:
        """Return the message as one sentence: expected, got, repair."""
        return str(self)


class ArgumentError(MmsearchError):
    """The arguments of a call are invalid or contradict each other."""


class MissingPackageError(MmsearchError):
    """An optional package is not installed. The message names the extra that installs it."""


class StackError(MmsearchError):
    """An embedded server could not be downloaded, started, reached or stopped."""


class IngestError(MmsearchError):
    """A run of ingest cannot continue."""


class CatalogError(IngestError):
    """The catalog or the rejects file cannot be read."""


class EncoderError(IngestError):
    """The response of Triton cannot be used: wrong model, shape, count, fingerprint or values."""


class MismatchError(IngestError):
    """The index was built with another encoder than the one that is served, or without an encoder."""


class UnreachableError(IngestError):
    """A server does not respond, or no longer responds."""


class UntrustedError(IngestError):
    """The server's certificate does not verify, or the server rejects the client certificate. Retrying does
    not help.
    """


class BlockedError(IngestError):
    """OpenSearch rejects the writes of this run: missing permissions, a block, or a closed or missing
    index.
    """


class FolderError(IngestError):
    """A file that the run needs cannot be written."""


class StoppedError(IngestError):
    """A key or a signal stopped the run."""


class RottenError(IngestError):
    """More products were lost than --max-rejects or --max-without-image allows."""


class SearchError(MmsearchError):
    """The search was rejected, or the query is incomplete."""


class CallError(MmsearchError):
    """One request to a server failed. The caller decides what follows; `sentence` is used where nobody
    handles it.
    """


class AwayError(CallError):
    """The server is unreachable, starting or overloaded. The same request may succeed later."""

    def __init__(self, server: str, why: str) -> None:
        super().__init__(why)
        self.server = server
        self.why = why

    def sentence(self) -> str:
        return f"expected {self.server} to answer, got {self.why}; start it, for example by: mmsearch up"


class FaultError(CallError):
    """The encoder failed on a batch (INTERNAL, UNKNOWN): its process died, or one item crashes it."""

    def sentence(self) -> str:
        return f"expected Triton to encode a batch, got {self}; read its log by: mmsearch logs triton"


class Rejection(MmsearchError):  # noqa: N818 - an outcome of one product, not a failure of the program
    """One product cannot be indexed. `reason` is a stable code, `message` one sentence for users."""

    stage = "read"

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message

    def __reduce__(self) -> tuple[type[Rejection], tuple[str, str]]:
        return type(self), (self.reason, self.message)


class RecordError(Rejection):
    """A line is not a valid record. `field` and `value` locate the error; both are empty when the whole line
    is broken.

    `identifier` is the record's id, if it could be read.
    """

    def __init__(self, reason: str, message: str, *, line: int = 0, field: str = "", value: str = "") -> None:
        super().__init__(reason, message)
        self.line = line
        self.field = field
        self.value = value
        self.identifier = ""


class PictureError(Rejection):
    """An image cannot be used: missing, outside the image root, too large, corrupt, or in an unsupported
    format.
    """

    stage = "image"


class RefusedError(Rejection):
    """The encoder rejects one product with INVALID_ARGUMENT."""

    stage = "encode"


class DocumentError(Rejection):
    """OpenSearch rejects one document with a 4xx that a retry cannot fix."""

    stage = "index"


class ModelError(MmsearchError):
    """Base class of errors about models; the message is one sentence."""


class ArchitectureError(ModelError):
    """The data file of an architecture is missing, malformed or contradictory."""


class WeightsError(ModelError):
    """Weights are not installed, or their hash is not the pinned one."""


class ServedTreeError(ModelError):
    """The served model repository cannot be written or is not what a command needs."""


class TrainingError(ModelError):
    """The training data or values cannot be used for training."""


class ComparisonError(ModelError):
    """Two indices could not be compared: a search failed, or there were no queries."""


class NotMovedError(ModelError):
    """A new index lacks what the old one has, or could not be checked; the alias stays on the old one."""
