"""LlamaIndex's OpensearchVectorStore: an index of its own, and mmsearch's index by its field names."""

from given import GIVEN, INDEX, TEXT, TITLES, URL, encode, encode_query, raised, report, scored
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import (
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)
from llama_index.vector_stores.opensearch import OpensearchVectorClient, OpensearchVectorStore
from opensearchpy import OpenSearch

OWN = "foreign-llama"
PIPELINE = "foreign-llama"
COSINE = {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil", "parameters": {}}
vector = encode_query(TEXT)


def store(index, **options):
    client = OpensearchVectorClient(URL, index, len(vector), engine="lucene", method=COSINE, **options)
    return OpensearchVectorStore(client)


def ask(store, mode, top_k=150, **more):
    return store.query(
        VectorStoreQuery(query_embedding=vector, query_str=TEXT, similarity_top_k=top_k, mode=mode, **more)
    )


def own():
    OpenSearch(URL).transport.perform_request("PUT", f"/_search/pipeline/{PIPELINE}", body=GIVEN["pipeline"])
    vectors = encode(TITLES)
    nodes = [
        TextNode(
            id_=str(number),
            text=title,
            embedding=embedding,
            metadata={"parity": number % 2},
            relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id="furniture")},
        )
        for number, (title, embedding) in enumerate(zip(TITLES, vectors, strict=True))
    ]
    made = store(OWN, search_pipeline=PIPELINE)
    made.add(nodes)
    even = MetadataFilters(filters=[MetadataFilter(key="parity", value=0)])
    hybrid = ask(made, VectorStoreQueryMode.HYBRID)
    saw = {
        "dense": ask(made, VectorStoreQueryMode.DEFAULT).ids,
        "words": ask(made, VectorStoreQueryMode.TEXT_SEARCH).ids,
        "hybrid": hybrid.ids,
        "scores": hybrid.similarities,
        "texts": [node.text for node in hybrid.nodes],
        "even": [
            node.metadata["parity"] for node in ask(made, VectorStoreQueryMode.DEFAULT, filters=even).nodes
        ],
        "hybrid_even": [
            node.metadata["parity"] for node in ask(made, VectorStoreQueryMode.HYBRID, filters=even).nodes
        ],
    }
    dense = {"knn": {"embedding": {"vector": vector, "k": 150}}}
    saw["legs"] = scored(OpenSearch(URL), OWN, {"match": {"content": TEXT}}, dense)
    # What was found, changed and written again, with the vector that the store leaves with the caller.
    changed = hybrid.nodes[:20]
    for node in changed:
        node.metadata["marked"] = True
        node.embedding = vectors[int(node.node_id)]
    made.add(changed)
    saw["changed"] = [node.node_id for node in changed]
    # Others come and go, by their document and by their name.
    source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id="lamps")}
    lamp = TextNode(id_="lamp", text="A lamp", embedding=vectors[0], relationships=source)
    table = TextNode(id_="table", text="A table", embedding=vectors[0])
    made.add([lamp, table])
    saw["more"] = OpenSearch(URL).count(index=OWN)["count"]
    made.delete("lamps")
    made.delete_nodes(["table"])
    return saw


def ours():
    """It takes each document's `metadata`, which a response processor makes of a product's attributes."""
    bare = store(INDEX, text_field="title")
    client = OpenSearch(URL)
    renamed = {**GIVEN["pipeline"], "response_processors": GIVEN["renamed"]}
    client.transport.perform_request("PUT", "/_search/pipeline/foreign-llama-ours", body=renamed)
    saw = {"bare": raised(lambda: ask(bare, VectorStoreQueryMode.DEFAULT))}
    setting = "index.search.default_pipeline"
    client.indices.put_settings(index=INDEX, body={setting: "foreign-llama-ours"})
    try:
        shop = store(INDEX, text_field="title", search_pipeline="foreign-llama-ours")
        hybrid = ask(shop, VectorStoreQueryMode.HYBRID)
        saw |= {
            "dense": ask(shop, VectorStoreQueryMode.DEFAULT).ids,
            "words": ask(shop, VectorStoreQueryMode.TEXT_SEARCH).ids,
            "hybrid": hybrid.ids,
            "licences": sorted({node.metadata["license"] for node in hybrid.nodes}),
        }
    finally:
        client.indices.put_settings(index=INDEX, body={setting: None})
    return saw


def errors():
    missing = store(INDEX, text_field="title", search_pipeline="no-such-pipeline")
    field = store(INDEX, text_field="title", embedding_field="title")
    return {
        "pipeline": raised(lambda: ask(missing, VectorStoreQueryMode.HYBRID)),
        "field": raised(lambda: ask(field, VectorStoreQueryMode.DEFAULT)),
        "unsaid": raised(lambda: ask(store(INDEX), VectorStoreQueryMode.HYBRID)),
    }


report(own=own(), ours=ours(), errors=errors())
