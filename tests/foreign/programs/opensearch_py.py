"""opensearch-py and its DSL: clauses, answers, errors, and documents that are changed and written back."""

from given import AWAY, GIVEN, INDEX, TEXT, URL, encode, raised, report
from opensearchpy import (
    Document,
    Float,
    KnnVector,
    OpenSearch,
    Q,
    Search,
    Text,
    UpdateByQuery,
    connections,
    helpers,
)
from opensearchpy.helpers.query import Query

client = OpenSearch(URL)
connections.add_connection("default", client)


class Neural(Query):
    """The DSL refuses a clause that it has no class for; two lines are one."""

    name = "neural"


class Hybrid(Query):
    name = "hybrid"
    _param_defs = {"queries": {"type": "query", "multi": True}}  # noqa: RUF012


shop = Search(index=INDEX)
neural = Q("neural", embedding={"query_text": TEXT, "k": 150})
hybrid = Q("hybrid", queries=[Q("match", title=TEXT), neural])


def ids(search):
    return [hit.meta.id for hit in search.execute()]


def searches():
    found = shop.query(hybrid)[:150].execute()
    deep = shop.query(Q("hybrid", queries=[Q("match", title=TEXT), neural], pagination_depth=150))
    facets = shop.query(hybrid)[:0]
    facets.aggs.bucket("categories", "terms", field="category.keyword", size=100)
    skipping = Q("hybrid", queries=[Q("match", title=TEXT), neural], on_encoder_failure="skip")
    return {
        "neural": ids(shop.query(neural)[:150]),
        "hybrid": [hit.meta.id for hit in found],
        "total": found.hits.total.value,
        "legs": [leg.to_dict() for leg in found[0]["_legs"]],
        "titles": [hit.title for hit in found],
        "vectors": sum("embedding" in hit for hit in found),
        "pages": [hit.meta.id for at in (0, 50, 100) for hit in deep[at : at + 50].execute()],
        "diverse": ids(shop.query(hybrid).extra(ext={"mmr": GIVEN["mmr"]})[:20]),
        "filtered": ids(shop.query(neural).post_filter("term", category__keyword="Living room")[:150]),
        "buckets": {each.key: each.doc_count for each in facets.execute().aggregations.categories.buckets},
        "counted": shop.query(hybrid).count(),
        "degraded": Search(index=AWAY).query(skipping).execute().to_dict()["ext"]["mmsearch"]["degraded"],
    }


def errors():
    odd = Q("hybrid", queries=[Q("match", title=TEXT)], fusion={"combination": {"technique": "sum"}})
    return {
        "refused": raised(lambda: ids(shop.query(odd))),
        "unknown": raised(
            lambda: ids(shop.query(Q("neural", embedding={"query_text": "x", "model_id": "y"})))
        ),
        "away": raised(lambda: ids(Search(index=AWAY).query(neural))),
        "after": len(ids(shop.query(neural)[:5])),
    }


class Note(Document):
    """On an index that the client makes."""

    title = Text()
    price = Float()
    embedding = KnnVector(768, method={"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"})

    class Index:
        name = "foreign-py-notes"
        settings = {"index.knn": True, "number_of_shards": 1}  # noqa: RUF012


def notes():
    Note.init()
    titles = [f"chair number {number}" for number in range(20)]
    vectors = encode(titles)
    for number, (title, vector) in enumerate(zip(titles, vectors, strict=True)):
        Note(meta={"id": number}, title=title, embedding=vector, price=1.0).save()
    Note._index.refresh()
    dense = Q("neural", embedding={"query_text": TEXT, "k": 20, "model_id": "query_encoder"})
    query = Q("hybrid", queries=[Q("match", title=TEXT), dense])
    found = list(Note.search().query(query)[:20].execute())
    for note in found:
        note.price = 2.0
        note.save()
    Note.get("0").update(price=3.0)
    Note._index.refresh()
    return {"found": [note.meta.id for note in found], "titles": titles}


class Product(Document):
    """On mmsearch's index, whose other fields the client keeps as they come."""

    title = Text()
    price = Float()

    class Index:
        name = INDEX

    @classmethod
    def _matches(cls, hit):
        # The index is an alias's, as in the client's own example of one.
        return hit["_index"].startswith(f"{INDEX}-")


def write_back(products, price):
    for product in products:
        product.price = price
        product.save()
    return [product.meta.id for product in products]


def products():
    some = [hit["_id"] for hit in client.search(index=INDEX, body={"size": 40})["hits"]["hits"]]
    gotten = write_back([Product.get(some[0])], 1.0)
    many = write_back(Product.mget(some[1:10]), 2.0)
    scrolled = write_back(list(Product.search().filter("ids", values=some[10:20]).scan()), 3.0)
    whole = write_back(list(Product.search().source(True).filter("ids", values=some[20:30])[:10]), 4.0)
    with_pit = client.create_pit(index=INDEX, keep_alive="1m")["pit_id"]
    held = client.search(
        body={"pit": {"id": with_pit}, "query": {"ids": {"values": some[30:40]}}, "size": 10}
    )["hits"]["hits"]
    client.delete_pit(body={"pit_id": [with_pit]})
    for hit in held:
        client.index(index=hit["_index"], id=hit["_id"], body={**hit["_source"], "price": 5.0})
    Product.get(some[0]).update(price=6.0)
    client.indices.refresh(index=INDEX)
    by_query = UpdateByQuery(index=INDEX).filter("ids", values=some[:10])
    updated = by_query.script(source="ctx._source.price = 7.0").execute()
    client.indices.refresh(index=INDEX)
    copied, _ = helpers.reindex(client, INDEX, "foreign-py-copy")
    left = client.search(index=INDEX, body={"query": {"ids": {"values": some}}, "size": 40})["hits"]["hits"]
    return {
        "changed": [*gotten, *many, *scrolled, *whole, *(hit["_id"] for hit in held)],
        "updated": updated.updated,
        "copied": copied,
        "prices": sorted({hit["_source"]["price"] for hit in left}),
    }


report(
    unknown_clause=raised(lambda: Q("knn", embedding={})),
    searches=searches(),
    errors=errors(),
    notes=notes(),
    products=products(),
)
