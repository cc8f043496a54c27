"""Haystack's OpenSearchDocumentStore and its retrievers, with our clauses as custom queries."""

from dataclasses import replace

from given import AWAY, GIVEN, INDEX, TEXT, TITLES, URL, encode, encode_query, raised, report, scored
from haystack import Document, Pipeline, component
from haystack.document_stores.types import DuplicatePolicy
from haystack_integrations.components.retrievers.opensearch import (
    OpenSearchBM25Retriever,
    OpenSearchEmbeddingRetriever,
    OpenSearchHybridRetriever,
)
from haystack_integrations.document_stores.opensearch import OpenSearchDocumentStore
from opensearchpy import OpenSearch

OWN = "foreign-haystack"
COSINE = {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"}
EVEN = {"field": "meta.parity", "operator": "==", "value": 0}


@component
class Triton:
    """A text embedder."""

    @component.output_types(embedding=list[float])
    def run(self, text: str):
        return {"embedding": encode_query(text)}


def legs(field, model=None):
    """A hybrid whose query is the retriever's."""
    dense = {"query_text": "$query", "k": 150} | ({"model_id": model} if model else {})
    return {
        "query": {"hybrid": {"queries": [{"match": {field: "$query"}}, {"neural": {"embedding": dense}}]}}
    }


def bm25(store, top_k=150, **options):
    return OpenSearchBM25Retriever(document_store=store, top_k=top_k, **options).run(query=TEXT)["documents"]


def own():
    store = OpenSearchDocumentStore(
        hosts=URL, index=OWN, embedding_dim=768, method=COSINE, return_embedding=True
    )
    documents = [
        Document(id=str(number), content=title, embedding=vector, meta={"parity": number % 2})
        for number, (title, vector) in enumerate(zip(TITLES, encode(TITLES), strict=True))
    ]
    written = store.write_documents(documents, refresh=True)
    duplicate = raised(lambda: store.write_documents(documents[:1], DuplicatePolicy.FAIL))
    vector = encode_query(TEXT)
    nearest = OpenSearchEmbeddingRetriever(document_store=store, top_k=150)
    pipeline = Pipeline()
    pipeline.add_component("embedder", Triton())
    pipeline.add_component("retriever", nearest)
    pipeline.connect("embedder.embedding", "retriever.query_embedding")
    joined = OpenSearchHybridRetriever(
        document_store=store, embedder=Triton(), top_k_bm25=150, top_k_embedding=150, top_k=150
    )
    fused = bm25(store, custom_query=legs("content", "query_encoder"))
    candidates = bm25(store, GIVEN["mmr"]["candidates"], custom_query=legs("content", "query_encoder"))
    diverse = legs("content", "query_encoder") | {"ext": {"mmr": GIVEN["mmr"]}}
    saw = {
        "written": written,
        "duplicate": duplicate,
        "dense": [found.id for found in pipeline.run({"embedder": {"text": TEXT}})["retriever"]["documents"]],
        "even": [
            found.meta["parity"] for found in nearest.run(query_embedding=vector, filters=EVEN)["documents"]
        ],
        "words": [found.id for found in bm25(store)],
        "joined": [found.id for found in joined.run(query=TEXT)["documents"]],
        "hybrid": [found.id for found in fused],
        "scores": [found.score for found in fused],
        "hybrid_even": [
            found.meta["parity"] for found in bm25(store, custom_query=GIVEN["custom"], filters=EVEN)
        ],
        # The same query of a caller without filters: the store puts null in their place.
        "unfiltered": [found.id for found in bm25(store, custom_query=GIVEN["custom"])],
        "candidates": [(found.id, found.score) for found in candidates],
        "diverse": [found.id for found in bm25(store, 20, custom_query=diverse)],
    }
    dense = {"query_text": TEXT, "k": 150, "model_id": "query_encoder"}
    queries = {"match": {"content": TEXT}}, {"neural": {"embedding": dense}}
    saw["legs"] = scored(OpenSearch(URL), OWN, *queries)
    # What was found is changed and written over.
    for name, found in (("overwritten", fused), ("overwritten_even", store.filter_documents(EVEN))):
        changed = [replace(each, score=None, meta=each.meta | {"marked": name}) for each in found]
        saw[name] = store.write_documents(changed, DuplicatePolicy.OVERWRITE, refresh=True)
    saw["updated"] = store.update_by_filter(EVEN, {"color": "oak"}, refresh=True)
    saw["count"] = store.count_documents()
    return saw


def ours():
    """The fields of a product are the meta of a document that has no content."""
    store = OpenSearchDocumentStore(hosts=URL, index=INDEX, create_index=False, return_embedding=True)
    found = bm25(store, custom_query=legs("title"))
    return {
        "titles": [each.meta["title"] for each in found],
        "vectors": sum(bool(each.embedding) for each in found),
    }


def errors():
    store = OpenSearchDocumentStore(hosts=URL, index=OWN, embedding_dim=768)
    away = OpenSearchDocumentStore(hosts=URL, index=AWAY)
    odd = legs("content", "query_encoder")
    odd["query"]["hybrid"]["pagination_depth"] = -1
    return {
        "unnamed": raised(lambda: bm25(store, custom_query=legs("content"))),
        "odd": raised(lambda: bm25(store, custom_query=odd)),
        "away": raised(lambda: bm25(away, custom_query=legs("title"))),
    }


report(own=own(), ours=ours(), errors=errors())
