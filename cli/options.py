"""The options that several commands share."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from mmsearch.clients.opensearch import DEFAULT_URL
from mmsearch.clients.triton import DEFAULT_TRITON
from mmsearch.errors import ArgumentError, MmsearchError
from mmsearch.images.fetch_options import headers_of, own_host, proxy_of, user_agent_of
from mmsearch.ingest.product_index.storage import ENCODERS, ENGINES, FULL, MODES, StorageOptions
from mmsearch.ingest.product_index.target import VECTORS
from mmsearch.ingest.schema.attributes import DEFAULT_FIELDS, MOST_FIELDS
from mmsearch.ingest.schema.fields import SchemaOptions
from mmsearch.ingest.schema.languages import language_of
from mmsearch.ingest.schema.shop_files import ShopFiles
from mmsearch.products.catalog import FORMATS
from mmsearch.products.feeds.preset import all_presets
from mmsearch.products.mapping.renamed import KNOWN
from mmsearch.products.translations import translation

F = TypeVar("F", bound=Callable[..., Any])


def _selected(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for value in values:
        column, equals, wanted = value.partition("=")
        if not (equals and column.strip()):
            raise click.BadParameter(f"expected COLUMN=VALUE such as product_locale=us, got {value!r}")
        found[column.strip()] = wanted
    return found


only = click.option(
    "--only",
    metavar="COLUMN=VALUE",
    multiple=True,
    callback=_selected,
    help="Read only the rows with this value in this column; may be repeated.",
)


def renames(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Return repeated OURS=THEIRS as a dictionary."""
    found = {}
    for value in values:
        ours, _, theirs = value.partition("=")
        if not (ours in KNOWN or translation(ours)) or not theirs.strip():
            raise click.BadParameter(
                f"expected OURS=THEIRS with ours one of {', '.join(KNOWN)}, or a translation such as "
                f"title_de, got {value!r}; for example title=product_name"
            )
        found[ours] = theirs
    return found


def tls(command: F) -> F:
    """Add --ca-file, --client-cert and --client-key, for all servers of the command.

    The values are in the environment while the command runs, so that worker processes have them too.
    There is no --insecure: a test authority needs only one file, and verification stays on.
    """
    return _all(
        command,
        *(
            click.option(
                f"--{name}",
                type=click.Path(exists=True, dir_okay=False),
                expose_value=False,
                callback=_for_the_run,
                help=f"{about}  [env var: MMSEARCH_{name.replace('-', '_').upper()}]",
            )
            for name, about in (
                ("ca-file", "PEM file with the certificate authorities to trust."),
                ("client-cert", "PEM file with the client certificate."),
                ("client-key", "PEM file with the key of --client-cert."),
            )
        ),
    )


def _for_the_run(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value and parameter.name:
        context.with_resource(_variable(parameter.name.upper(), value))


@contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    """Set the variable. The option overrides every variable of that file, also those for one server."""
    names = [f"MMSEARCH_{server}{name}" for server in ("", "OPENSEARCH_", "TRITON_", "DASHBOARDS_")]
    with _set(dict.fromkeys(names, value)):
        yield


@contextmanager
def _set(variables: dict[str, str]) -> Iterator[None]:
    before = {each: os.environ.get(each) for each in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for each, was in before.items():
            if was is None:
                os.environ.pop(each, None)
            else:
                os.environ[each] = was


def servers(command: F) -> F:
    """Add --index, --opensearch, --triton, and the certificates."""
    return _all(
        command,
        click.option("--index", default="products", envvar="MMSEARCH_INDEX", show_default=True),
        click.option("--opensearch", default=DEFAULT_URL, envvar="MMSEARCH_OPENSEARCH", show_default=True),
        click.option("--triton", default=DEFAULT_TRITON, envvar="MMSEARCH_TRITON", show_default=True),
        tls,
    )


def working(command: F) -> F:
    """Add the options for reading products and for the load on the servers."""
    return _all(
        command,
        click.option(
            "--image-root",
            type=click.Path(path_type=Path),
            help="Folder with the pictures; references outside it are refused.  [default: the catalog's]",
        ),
        click.option(
            "--on-bad-image",
            type=click.Choice(["reject", "text-only"]),
            default="reject",
            show_default=True,
            help="If a picture is missing or invalid, reject the product, or index it without the picture "
            "and retry in later runs.",
        ),
        click.option(
            "--fetch-images",
            is_flag=True,
            help="Download pictures from http and https URLs at public addresses.",
        ),
        *_fetching(),
        _map(),
        click.option(
            "--processes",
            type=click.IntRange(0, 64),
            help="Number of processes that decode pictures; 0 decodes in the main process.  [default: as "
            "many as cores are idle]",
        ),
        click.option(
            "--batch",
            type=click.IntRange(1, 1024),
            default=32,
            show_default=True,
            help="Products per encoder request.",
        ),
        click.option(
            "--give-up-after",
            type=click.FloatRange(0),
            default=600.0,
            show_default=True,
            help="Seconds to wait for an unreachable server.",
        ),
        click.option("--json", "as_json", is_flag=True, help="Print the summary as one line of JSON."),
    )


def preset(command: F) -> F:
    """Add --preset, for the feed of a platform."""
    return _all(
        command,
        click.option(
            "--preset",
            metavar="NAME|FILE",
            help=f"Read the feed of a platform: {', '.join(all_presets())}, a file of your own, or none.  "
            "[default: recognised by its columns]",
        ),
    )


def _fetching() -> list[Callable[[F], F]]:
    """Add the options for fetching pictures. As for certificates, the values are in the environment while the
    command runs.
    """

    def option(name: str, metavar: str, check: Callable[[str], Any], about: str, **more: Any) -> Any:
        variable = f"MMSEARCH_FETCH_{name.upper().replace('-', '_')}"

        def keep(context: click.Context, parameter: click.Parameter, value: str | tuple[str, ...]) -> None:
            values = [value] if isinstance(value, str) else list(value or ())
            try:
                for each in values:
                    check(each)
            except MmsearchError as error:
                raise click.BadParameter(str(error)) from None
            if values:
                context.with_resource(_set({variable: ("\n" if name == "header" else ",").join(values)}))

        return click.option(
            f"--fetch-{name}",
            metavar=metavar,
            callback=keep,
            expose_value=False,
            help=f"{about}  [env var: {variable}]",
            **more,
        )

    return [
        option("proxy", "http://HOST:PORT", proxy_of, "With --fetch-images: ask this proxy for pictures."),
        option(
            "header",
            "[HOST ]NAME: VALUE",
            lambda line: list(headers_of([line])),
            "With --fetch-images: send this header to the hosts that the catalog names, or to HOST only; "
            "@FILE reads headers from a file, so that ps does not show them.",
            multiple=True,
        ),
        option(
            "user-agent", "TEXT", user_agent_of, "With --fetch-images: the User-Agent; otherwise mmsearch."
        ),
        option(
            "allow-host",
            "HOST[:PORT]",
            own_host,
            "With --fetch-images: also fetch from this host at a private address.",
            multiple=True,
        ),
    ]


def catalog_form(command: F) -> F:
    """Add --map, --preset and --format, for reading a catalog as `mmsearch ingest` does."""
    return _all(
        command,
        _map(),
        preset,
        click.option(
            "--format",
            "form",
            type=click.Choice(FORMATS),
            help="Format of the catalog.  [default: detected from its content]",
        ),
    )


def _map() -> Callable[[F], F]:
    return click.option(
        "--map",
        "renamed",
        metavar="OURS=THEIRS",
        multiple=True,
        callback=renames,
        help="Read a field from another column: title=product_name, price=price.amount, images=images.*.src, "
        "title=brand+name.",
    )


def vectors(command: F) -> F:
    """Add --vectors, unparsed."""
    return _all(
        command,
        click.option(
            "--vectors",
            help=f"Vector fields of a new index: {', '.join(VECTORS)}; the last has one vector per "
            "picture.  [default: embedding]",
        ),
    )


def new_index(command: F) -> F:
    """Add --shards, --language, --attribute-fields, --mapping and --settings as the argument `schema`, and
    --knn-engine, --knn-encoder and --knn-mode as `storage`."""

    @functools.wraps(command)
    def stored(
        *arguments: Any,
        knn_engine: str | None,
        knn_encoder: str | None,
        knn_mode: str | None,
        language: str | None,
        mapping: Path | None,
        settings: Path | None,
        attribute_fields: int | None,
        **named: Any,
    ) -> Any:
        storage = StorageOptions(knn_engine, knn_encoder, knn_mode)
        schema = SchemaOptions(language, ShopFiles.read(mapping, settings), attribute_fields)
        return command(*arguments, storage=storage, schema=schema, **named)

    return _all(
        cast(F, stored),
        click.option(
            "--language",
            metavar="LANG",
            callback=_language,
            help="Language of a new index, for example de or german; none turns stemming off.  "
            "[default: detected]",
        ),
        click.option(
            "--shards", type=click.IntRange(1), help="Number of primary shards of a new index.  [default: 1]"
        ),
        click.option(
            "--attribute-fields",
            type=click.IntRange(0, MOST_FIELDS),
            metavar="N",
            help="Number of attributes with typed fields in a new index, the most frequent ones; all others "
            f"share a field and are compared as text.  [default: {DEFAULT_FIELDS}]",
        ),
        click.option(
            "--mapping",
            type=click.Path(path_type=Path),
            help="JSON file with your own fields, analyzers or boosts, for a new index.",
        ),
        click.option(
            "--settings",
            type=click.Path(path_type=Path),
            help="JSON file with settings of a new index: analyzers, synonyms, replicas.",
        ),
        click.option(
            "--knn-engine",
            type=click.Choice(ENGINES),
            help="k-NN engine of a new index; faiss needs nodes with native libraries, as in the official "
            "image.  [default: lucene]",
        ),
        click.option(
            "--knn-encoder",
            type=click.Choice((FULL, *ENCODERS)),
            help="Quantization of a new index: byte with lucene, fp16 or binary with faiss.  "
            "[default: float]",
        ),
        click.option(
            "--knn-mode",
            type=click.Choice(MODES),
            help="k-NN mode of a new index; on_disk rescores the hits of quantized vectors with full vectors."
            "  [default: in_memory]",
        ),
    )


def _language(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    try:
        return None if value is None else language_of(value).code
    except ArgumentError as error:
        raise click.BadParameter(str(error)) from None


def from_before(said: str, decorate: Callable[[F], F]) -> Callable[[F], F]:
    """Add the options of `decorate`, with help that names the default's source."""

    def decorated(command: F) -> F:
        others = len(getattr(command, "__click_params__", ()))
        result = decorate(command)
        for option in result.__click_params__[others:]:  # type: ignore[attr-defined]
            # The options for fetching pictures are not stored, because they may contain secrets.
            if option.name == "as_json" or not getattr(option, "expose_value", True):
                continue
            option.help = re.sub(r"\s*\[default: .*?\]", "", option.help or "")
            option.show_default = said
        return result

    return decorated


def _all(command: F, *options: Callable[[F], F]) -> F:
    for option in reversed(options):
        command = option(command)
    return command


precision = click.option(
    "--precision",
    type=click.Choice(["auto", "int8", "fp32", "mixed"]),
    default="auto",
    show_default=True,
    help="Precision of the text towers: int8, fp32 (for GPUs), or mixed: fp32 for items, int8 for queries. "
    "auto keeps that of the served set; without one it is mixed on processors with bf16 units, else int8.",
)
