"""The client of one index: ingest, search and encode."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from mmsearch.api.arguments import limit_of, path_of, require_choice, require_number, shown, slice_of
from mmsearch.api.failures import explained
from mmsearch.api.hits import Hits
from mmsearch.api.servers import Auth, Certificate, File, Servers
from mmsearch.errors import ArgumentError, SearchError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from opensearchpy import OpenSearch

    from mmsearch.api.deletion import DeleteReport
    from mmsearch.api.images import Image
    from mmsearch.api.ingest_report import IngestReport
    from mmsearch.api.ingestion import Products, Watch
    from mmsearch.search.filters import KnownTypes
    from mmsearch.search.lexical import LexicalClauses

    Vectors = NDArray[np.float32]

Mode = Literal["lexical", "neural", "hybrid"]
OnBadImage = Literal["reject", "text-only"]
Format = Literal["jsonl", "json", "xml", "csv", "tsv", "xlsx", "parquet"]
Field = Literal["embedding", "text_embedding", "image_embedding"]
MODES = ("lexical", "neural", "hybrid")
GIVE_UP_AFTER = 600.0
"""seconds"""


class Client:
    """A client for one index in OpenSearch and for the encoder that Triton serves for it.

    All calls are synchronous. Threads may share a client. Close it once, or use it in a `with` statement.
    Connections open on first use; `search` needs OpenSearch only.

    Errors are MmsearchError with one sentence. If the sentence names an option, such as "raise
    --max-rejects", it means the argument of the same name, `max_rejects`. The loggers `mmsearch.ingest`,
    `mmsearch.encode` and `mmsearch.delete` warn when a server becomes unreachable or returns.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        triton: str | None = None,
        index: str | None = None,
        auth: Auth | None = None,
        ca_file: File | None = None,
        client_cert: Certificate | None = None,
        timeout: float = 60.0,
    ) -> None:
        """Create a client. No server is contacted yet.

        url          URL of OpenSearch; default: http://127.0.0.1:9200
        triton       HOST:PORT, or grpcs://HOST:PORT for TLS; default: 127.0.0.1:8001
        index        name of an index or alias; default: products
        auth         (user, password), or an API key
        ca_file      PEM file with the certificate authorities to trust
        client_cert  PEM file with client certificate and key, or (certificate, key)
        timeout      time limit of one request, in seconds

        Missing arguments come from the environment, as on the command line: MMSEARCH_OPENSEARCH,
        MMSEARCH_TRITON, MMSEARCH_INDEX, and the variables for credentials, AWS signatures and the Triton
        token. Certificates are always verified. Credentials are sent over TLS or to this machine only. Raises
        ArgumentError for an invalid address and IngestError for credentials that do not match it.
        """
        url = os.environ.get("MMSEARCH_OPENSEARCH", "http://127.0.0.1:9200") if url is None else url
        triton = os.environ.get("MMSEARCH_TRITON", "127.0.0.1:8001") if triton is None else triton
        index = os.environ.get("MMSEARCH_INDEX", "products") if index is None else index
        if not isinstance(index, str) or not index:
            raise ArgumentError(f"expected the name of an index or alias, got {shown(index)}")
        self.index = index
        self._servers = Servers(
            url, triton, auth=auth, ca_file=ca_file, client_cert=client_cert, timeout=timeout
        )
        self._lexical: LexicalClauses | None = None
        self._types: KnownTypes | None = None

    @property
    def url(self) -> str:
        """Return the URL of OpenSearch."""
        return self._servers.url

    @property
    def triton(self) -> str:
        """Return the address of Triton."""
        return self._servers.triton

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.url!r}, triton={self.triton!r}, index={self.index!r})"

    def close(self) -> None:
        """Close the connections. Later calls raise ArgumentError."""
        self._servers.close()

    def ingest(
        self,
        products: Products,
        *,
        image_root: str | os.PathLike[str] | None = None,
        on_bad_image: OnBadImage = "reject",
        fetch_images: bool = False,
        map: Mapping[str, str] | None = None,  # noqa: A002 - the option's name
        preset: str | None = None,
        format: Format | None = None,  # noqa: A002
        rejects: str | os.PathLike[str] | None = None,
        max_rejects: float | None = None,
        max_without_image: float | None = None,
        partial: bool = False,
        sync: float | None = None,
        force: bool = False,
        dry_run: bool = False,
        limit: int | None = None,
        slice: tuple[int, int] | None = None,  # noqa: A002
        vectors: Sequence[str] | None = None,
        shards: int | None = None,
        language: str | None = None,
        mapping: Mapping[str, Any] | File | None = None,
        settings: Mapping[str, Any] | File | None = None,
        attribute_fields: int | None = None,
        knn_engine: Literal["lucene", "faiss"] | None = None,
        knn_encoder: Literal["float", "byte", "fp16", "binary"] | None = None,
        knn_mode: Literal["in_memory", "on_disk"] | None = None,
        engine: Literal["local", "ray"] = "local",
        workers: int = 2,
        processes: int | None = None,
        batch: int = 32,
        give_up_after: float = GIVE_UP_AFTER,
        wait_for_servers: bool = False,
        resume: str = "",
        progress: Watch | None = None,
    ) -> IngestReport:
        """Encode products and index them. A second run encodes only what has changed.

        products is an iterable of dicts, a pandas DataFrame with one product per row, or the path of a
        catalog (JSON Lines, JSON, XML, CSV, TSV, xlsx or Parquet, compressed or not; `-` is standard
        input). A dict has an `id` and any of `title`, `description`, `category`, `brand`, `price` and
        `image`; all other keys become attributes. `image` is a path below `image_root`, a `data:` URI, the
        bytes of a file, a URL (with `fetch_images`), or a list of these. None and NaN count as missing. An
        iterable is read once, in its own thread, while its first products are encoded.

        image_root         folder with the images; default: the catalog's folder, or the working directory
        on_bad_image       "reject", or "text-only" to index the product without its image
        fetch_images       download images that are URLs, from public addresses only; proxy, headers, user
                           agent and own hosts come from the environment, MMSEARCH_FETCH_PROXY and its kin
        map                columns of the catalog by field, for example {"title": "product_name"} or
                           {"images": "images.*.src"}
        preset             how the feed of a platform is read: a name, a TOML file, or "none"; default:
                           recognised by its columns
        format             format of the catalog; default: by content
        rejects            file for rejected products, as `mmsearch retry` reads it; default: none
        max_rejects        raise RottenError if more products are rejected: a count (int) or a share (float)
        max_without_image  the same for products that are indexed without their image
        partial            update only the fields that each product contains
        sync               also delete products that are not given, at most this share of the index
        force              encode and write unchanged products too
        dry_run            check every product, but encode, index and delete nothing
        limit              read only this many products
        slice              (I, N): read the I-th of N parts, by a hash of the id; I starts at 1
        vectors            vector fields of a new index: embedding, text_embedding, image_embedding,
                           pictures.embedding; default: embedding
        shards, knn_*      settings of a new index
        language           language of a new index, for example "de" or "german"; "none" turns stemming off;
                           default: detected and logged
        attribute_fields   number of attributes with fields of their own in a new index; default: 200
        mapping, settings  your own fields, analyzers and synonyms for a new index: dicts or JSON files
        engine, workers    "ray" distributes a catalog file over this many Ray workers
        processes          processes that decode images; 0 decodes in this one; default: by idle cores
        batch              products per encoder request
        give_up_after      seconds to wait for a server that becomes unreachable
        wait_for_servers   also wait this long for servers that are unreachable at the start
        resume             how messages tell the user to continue
        progress           called with an IngestProgress about five times per second, in this thread

        Rejected products do not raise: see `report.rejected`, `report.reasons` and `report.rejects`. Raises
        ArgumentError for arguments that contradict each other, UnreachableError if a server is unreachable at
        the start or for too long, MismatchError if the index belongs to another encoder, and MmsearchError
        for any other failure. Products indexed before a failure stay indexed.
        """
        from mmsearch.api import ingestion
        from mmsearch.ingest.job import Job
        from mmsearch.ingest.product_index.storage import ENCODERS, ENGINES, FULL, MODES, StorageOptions
        from mmsearch.ingest.schema.attributes import MOST_FIELDS
        from mmsearch.ingest.schema.fields import SchemaOptions
        from mmsearch.ingest.schema.languages import language_of
        from mmsearch.ingest.schema.shop_files import ShopFiles
        from mmsearch.products.catalog import FORMATS
        from mmsearch.products.mapping.renamed import require_known

        require_choice("on_bad_image", on_bad_image, ("reject", "text-only"))
        require_choice("engine", engine, ("local", "ray"))
        for name, value, choices in (
            ("format", format, FORMATS),
            ("knn_engine", knn_engine, ENGINES),
            ("knn_encoder", knn_encoder, (FULL, *ENCODERS)),
            ("knn_mode", knn_mode, MODES),
        ):
            if value is not None:
                require_choice(name, value, choices)
        require_known(map or {})
        for name, number, least, most in (
            ("limit", limit, 1, None),
            ("shards", shards, 1, None),
            ("attribute_fields", attribute_fields, 0, MOST_FIELDS),
            ("workers", workers, 1, None),
            ("processes", processes, 0, 64),
            ("batch", batch, 1, 1024),
            ("give_up_after", give_up_after, 0.0, None),
            ("sync", sync, 0.0, 1.0),
        ):
            if number is not None:
                require_number(name, number, least, *([] if most is None else [most]))
        text_only = on_bad_image == "text-only"
        ingestion.require_compatible(
            sync=sync, limit=limit, partial=partial, text_only=text_only, force=force
        )
        catalog, source = ingestion.source_of(products)
        root = ingestion.default_root(catalog) if image_root is None else path_of("image_root", image_root)
        with ingestion.rejects_folder() as folder:
            job = Job(
                catalog=catalog,
                image_root=root.resolve(),
                rejects=Path(folder, "rejects.jsonl") if rejects is None else path_of("rejects", rejects),
                index=self.index,
                fields=ingestion.vector_fields(vectors),
                storage=StorageOptions(knn_engine, knn_encoder, knn_mode),
                shards=shards,
                schema=SchemaOptions(
                    None if language is None else language_of(language).code,
                    ShopFiles.read(
                        ingestion.mapping_of("mapping", mapping), ingestion.mapping_of("settings", settings)
                    ),
                    attribute_fields,
                ),
                text_only=text_only,
                fetch=fetch_images,
                renames=dict(map or {}),
                preset=preset,
                processes=processes,
                batch=batch,
                patience=give_up_after,
                resume=resume,
                format=format,
                limit=limit,
                slice=slice_of(slice),
                max_rejects=limit_of("max_rejects", max_rejects),
                max_without_image=limit_of("max_without_image", max_without_image),
                sync=sync,
                dry_run=dry_run,
                partial=partial,
                force=force,
                wait=wait_for_servers,
            )
            return ingestion.ingest(
                self._servers, job, source, engine=engine, workers=workers, progress=progress
            )

    def search(
        self,
        text: str = "",
        *,
        image: Image | None = None,
        like: str | None = None,
        mode: Mode | None = None,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - the clause's name
        k: int = 10,
        weights: Sequence[float] | Mapping[str, float] | None = None,
        text_to_image: float | None = None,
        field: str = "embedding",
        collapse: str | None = None,
        log: bool = False,
    ) -> Hits:
        """Return the best `k` products (1 to 100) for a text, an image, both, or a similar product.

        image    path or bytes of an image file
        like     id of an indexed product
        mode     "lexical" (BM25), "neural" (vectors) or "hybrid" (both, fused); default: hybrid for a text
        filter   values by field: a value such as {"category": "Seats"}, a list of alternatives, or for
                 numbers and dates a range such as {"price": {"gte": 10, "lt": 20}}; names of attributes too
        weights  weights of the hybrid's legs, (lexical, dense) or {"lexical": 0.3, "dense": 0.7};
                 default: equal
        text_to_image  weight, 0 to 1, of the similarity between the text and a product's image, where the
                 vectors have a part for each; the rest is that of text to text; default: the weight that
                 ingest measured
        field    vector field to search
        collapse return the best hit alone for each value of this field: "group" for variants of one product
        log      also record query and hits in the index mmsearch-log

        Each hit has `id`, `score`, `source` (the stored fields) and, for a hybrid, `legs`: its rank and score
        in each leg. Raises SearchError if there is nothing to search for or OpenSearch refuses the request,
        and UnreachableError if OpenSearch is unreachable.
        """
        from mmsearch.api.images import image_bytes
        from mmsearch.clients.opensearch import ask
        from mmsearch.search import query_log
        from mmsearch.search.bodies import LEGS, WINDOW, mode_of, search_body
        from mmsearch.search.client import in_a_sentence, names_for
        from mmsearch.search.lexical import DEFAULT

        if not isinstance(text, str):
            raise ArgumentError(f"expected words as a str, got {shown(text)}")
        if mode is not None:
            require_choice("mode", mode, MODES)
        require_number("k", k, 1, WINDOW)
        if collapse is not None and (not isinstance(collapse, str) or not collapse):
            raise ArgumentError(f"expected collapse as the name of a field, got {shown(collapse)}")
        if filter is not None and not isinstance(filter, Mapping):
            raise ArgumentError(f"expected filter as a dict of fields and values, got {shown(filter)}")
        picture = "" if image is None else base64.b64encode(image_bytes(image)).decode()
        chosen = mode_of(text, picture, like, mode)
        if isinstance(weights, Mapping):
            if set(weights) != set(LEGS):
                raise SearchError(f"expected weights of {' and '.join(LEGS)}, got {shown(dict(weights))}")
            weights = [weights[leg] for leg in LEGS]
        with explained("search"), in_a_sentence(self.index):
            client = self._servers.opensearch()
            body = search_body(
                text,
                picture=picture,
                like=like,
                mode=chosen,
                k=k,
                filters=filter,
                weights=weights,
                text_to_image=text_to_image,
                field=field,
                names=names_for(chosen, client, self.index),
                lexical=DEFAULT if chosen == "neural" else self._lexical_query(client),
                types=self._attribute_types(client, filter or {}),
                collapse=collapse,
            )
            answer = ask(client, "POST", f"/{self.index}/_search", body=body)
            if log:
                about = "" if image is None else "an image" if isinstance(image, bytes) else str(image)
                query, modality = query_log.asked(text=text, picture=about, like=like or "")
                documents = query_log.of_search(
                    answer, query=query, modality=modality, mode=chosen, index=self.index
                )
                query_log.write(client, documents)
        return Hits(answer)

    def _lexical_query(self, client: OpenSearch) -> Mapping[str, Any]:
        """Return the lexical query of the index's search template, which is refreshed periodically."""
        from mmsearch.search.lexical import LexicalClauses

        self._lexical = self._lexical or LexicalClauses()
        return self._lexical.of(client, self.index)

    def _attribute_types(self, client: OpenSearch, filters: Mapping[str, Any]) -> Mapping[str, str] | None:
        """Return the types of the index's attributes, refreshed periodically if filters need them."""
        from mmsearch.search.filters import FLAT, KnownTypes, attributes_in

        if not attributes_in(filters):
            return FLAT
        self._types = self._types or KnownTypes()
        return self._types.of(client, self.index)

    def encode_queries(
        self,
        texts: Sequence[str],
        *,
        images: Sequence[Image | None] | None = None,
        field: Field = "embedding",
        give_up_after: float = GIVE_UP_AFTER,
    ) -> Vectors:
        """Return the vectors of queries, as a `neural` clause uses them: float32 [n, d].

        images  for each text an image (path or bytes) or None; a text with an image may be empty
        field   vector field whose encoder is used

        Each vector has length one, so its inner product with a product's vector is the cosine. The encoder is
        the version that the index was created for, or the newest version if there is no index. Raises
        ArgumentError, UnreachableError, RefusedError for a text that is too long or without a word that the
        encoder knows, or for an invalid image, and MismatchError if Triton no longer serves the index's
        encoder.
        """
        from mmsearch.api import encoding

        require_number("give_up_after", give_up_after, 0.0)
        return encoding.encode_queries(self._servers, self.index, texts, images, field, give_up_after)

    def encode_products(
        self,
        products: Products,
        *,
        image_root: str | os.PathLike[str] | None = None,
        fetch_images: bool = False,
        map: Mapping[str, str] | None = None,  # noqa: A002 - as in ingest
        preset: str | None = None,
        format: Format | None = None,  # noqa: A002
        field: Field = "embedding",
        processes: int | None = None,
        give_up_after: float = GIVE_UP_AFTER,
    ) -> Vectors:
        """Return the vectors of products, as `ingest` would store them, in input order: float32 [n, d].

        The arguments are those of `ingest`. The vector of a product with several images is the normalized
        mean of the vectors of its rows. A product that cannot be encoded raises RecordError, PictureError or
        RefusedError, because every product needs a row. Raises the errors of `encode_queries` too.
        """
        from mmsearch.api import encoding, ingestion
        from mmsearch.products.catalog import FORMATS, Catalog
        from mmsearch.products.feeds.feed import Feed
        from mmsearch.products.mapping.renamed import require_known

        require_known(map or {})
        require_number("give_up_after", give_up_after, 0.0)
        if format is not None:
            require_choice("format", format, FORMATS)
        catalog, source = ingestion.source_of(products)
        root = ingestion.default_root(catalog) if image_root is None else path_of("image_root", image_root)
        with closing(Feed(source or Catalog(catalog, format), map, preset)) as lines:
            return encoding.encode_products(
                self._servers,
                self.index,
                lines,
                image_root=root.resolve(),
                fetch_images=fetch_images,
                renames=dict(map or {}),
                processes=processes,
                field=field,
                give_up_after=give_up_after,
            )

    def delete(
        self,
        ids: Iterable[str | int],
        *,
        give_up_after: float = GIVE_UP_AFTER,
        resume: str = "",
        progress: Watch | None = None,
    ) -> DeleteReport:
        """Delete products by id. Ids that are not in the index are counted as `missing`.

        The arguments are those of `ingest`; `progress` is called every 5,000 ids. If OpenSearch refuses to
        delete a product, it is counted as `not_deleted` and does not raise. Raises ArgumentError,
        MismatchError if the index does not exist or was not created by mmsearch, and UnreachableError.
        """
        from mmsearch.api import deletion

        require_number("give_up_after", give_up_after, 0.0)
        return deletion.delete(
            self._servers, self.index, ids, give_up_after=give_up_after, resume=resume, progress=progress
        )
