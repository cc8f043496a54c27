"""LangChain's OpenSearchVectorSearch: an index of its own, and mmsearch's index by its field names."""

import asyncio
import warnings

from given import INDEX, TEXT, TITLES, URL, encode, encode_query, raised, report, scored

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own, about the package's end
    from langchain_community.vectorstores import OpenSearchVectorSearch
from langchain_core.embeddings import Embeddings

OWN = "foreign-langchain"
PIPELINE = "foreign_langchain"
OURS = {"text_field": "title", "vector_field": "embedding", "metadata_field": "*"}


class Triton(Embeddings):
    def embed_documents(self, texts):
        return encode(texts)

    def embed_query(self, text):
        return encode_query(text)


def ids(documents):
    return [document.id for document in documents]


def parities(documents):
    return [document.metadata["parity"] for document in documents]


def own():
    store = OpenSearchVectorSearch(URL, OWN, Triton(), engine="lucene")
    names = [str(number) for number in range(len(TITLES))]
    described = [{"parity": number % 2} for number in range(len(TITLES))]
    half = len(TITLES) // 2
    made = {"space_type": "cosinesimil"}
    added = store.add_texts(TITLES[:half], described[:half], names[:half], **made)

    async def rest():
        more = await store.aadd_texts(TITLES[half:], described[half:], names[half:], **made)
        await store.async_client.close()
        return more

    added += asyncio.run(rest())
    store.configure_search_pipelines(PIPELINE, keyword_weight=0.4, vector_weight=0.6)
    hybrid = {"search_type": "hybrid_search", "search_pipeline": PIPELINE}
    scripted = {"search_type": "script_scoring", "space_type": "cosinesimil"}
    even = {"term": {"metadata.parity": 0}}
    similar = store.similarity_search_with_score(TEXT, k=200)
    saw = {
        "added": added,
        "pipeline": store.search_pipeline_exists(PIPELINE),
        "similar": ids(store.similarity_search(TEXT, k=200)),
        "scores": [score for _, score in similar],
        "even": parities(store.similarity_search(TEXT, k=50, filter=even)),
        "above": len(store.similarity_search(TEXT, k=200, score_threshold=similar[20][1])),
        "scripted": ids(store.similarity_search(TEXT, k=20, **scripted)),
        "diverse": ids(store.max_marginal_relevance_search(TEXT, k=10, fetch_k=50, lambda_mult=0.3)),
        "hybrid": ids(store.similarity_search(TEXT, k=150, **hybrid)),
        "hybrid_even": parities(store.similarity_search(TEXT, k=150, post_filter=even, **hybrid)),
    }
    dense = {"knn": {"vector_field": {"vector": encode_query(TEXT), "k": 150}}}
    saw["legs"] = scored(store.client, OWN, {"match": {"text": TEXT}}, dense)
    # The same texts once more under the same names, and another that comes and goes.
    store.add_texts(TITLES[:5], described[:5], names[:5], **made)
    store.add_texts(["A lamp"], [{}], ["lamp"], **made)
    saw["more"] = store.client.count(index=OWN)["count"]
    store.delete(ids=["lamp"])
    return saw


def ours():
    store = OpenSearchVectorSearch(URL, INDEX, Triton(), engine="lucene")
    similar = store.similarity_search(TEXT, k=200, **OURS)
    cut = raised(lambda: store.max_marginal_relevance_search(TEXT, k=10, fetch_k=50, **OURS))
    setting = "index.mmsearch.answers.leave_out_vectors"
    store.client.indices.put_settings(index=INDEX, body={setting: False})
    try:
        diverse = store.max_marginal_relevance_search(TEXT, k=10, fetch_k=50, lambda_mult=0.3, **OURS)
    finally:
        store.client.indices.put_settings(index=INDEX, body={setting: None})
    return {
        "similar": ids(similar),
        "titles": [document.page_content for document in similar],
        "cut": cut,
        "diverse": ids(diverse),
        "with_vectors": sum("embedding" in document.metadata for document in diverse),
    }


def errors():
    store = OpenSearchVectorSearch(URL, OWN, Triton(), engine="lucene")
    missing = {"search_type": "hybrid_search", "search_pipeline": "no_such_pipeline"}
    words = {"vector_field": "text"}
    default = OpenSearchVectorSearch(URL, "foreign-nmslib", Triton())
    return {
        "pipeline": raised(lambda: store.similarity_search(TEXT, **missing)),
        "field": raised(lambda: store.similarity_search(TEXT, **words)),
        "engine": raised(lambda: default.add_texts(["a chair"])),
    }


report(own=own(), ours=ours(), errors=errors())
