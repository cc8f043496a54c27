import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.hc.core5.http.HttpHost;
import org.opensearch.client.json.JsonData;
import org.opensearch.client.json.jackson.JacksonJsonpMapper;
import org.opensearch.client.opensearch.OpenSearchClient;
import org.opensearch.client.opensearch._types.OpenSearchException;
import org.opensearch.client.opensearch._types.SortOrder;
import org.opensearch.client.opensearch._types.query_dsl.NeuralQuery;
import org.opensearch.client.opensearch._types.query_dsl.Query;
import org.opensearch.client.opensearch.core.BulkRequest;
import org.opensearch.client.opensearch.core.SearchRequest;
import org.opensearch.client.opensearch.core.SearchResponse;
import org.opensearch.client.opensearch.core.search.Hit;
import org.opensearch.client.opensearch.core.search.Pit;
import org.opensearch.client.transport.httpclient5.ApacheHttpClient5TransportBuilder;
import org.opensearch.client.transport.httpclient5.ResponseException;
import org.opensearch.client.util.ObjectBuilder;

/** opensearch-java's typed queries and responses: clauses, errors, and documents that are read, changed and written back. */
public final class TypedClient {

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String TEXT = "wooden chair";

    private final OpenSearchClient client;
    private final JsonNode given;
    private final String index;

    private TypedClient(JsonNode given, OpenSearchClient client) {
        this.given = given;
        this.client = client;
        index = given.get("index").asText();
    }

    /** Reads what it is given as JSON from standard input, and prints what it saw as JSON. */
    public static void main(String[] arguments) throws Exception {
        JsonNode given = JSON.readTree(System.in);
        HttpHost node = HttpHost.create(given.get("url").asText());
        var transport = ApacheHttpClient5TransportBuilder.builder(node).setMapper(new JacksonJsonpMapper()).build();
        try (transport) {
            TypedClient typed = new TypedClient(given, new OpenSearchClient(transport));
            Map<String, Object> saw = new LinkedHashMap<>();
            saw.put("searches", typed.searches());
            saw.put("errors", typed.errors());
            saw.put("products", typed.products());
            saw.put("own", typed.own());
            System.out.println(JSON.writeValueAsString(saw));
        }
    }

    private static Query neural(String model) {
        NeuralQuery.Builder clause = new NeuralQuery.Builder().field("embedding").queryText(TEXT).k(150);
        return clause.modelId(model).build().toQuery();
    }

    private static Query words() {
        return Query.of(q -> q.match(m -> m.field("title").query(v -> v.stringValue(TEXT))));
    }

    private static Query hybrid(Integer depth, String model) {
        return Query.of(q -> q.hybrid(h -> h.queries(words(), neural(model)).paginationDepth(depth)));
    }

    private interface Asked {
        ObjectBuilder<SearchRequest> by(SearchRequest.Builder request);
    }

    private SearchResponse<ObjectNode> search(Asked asked) throws Exception {
        return client.search(request -> asked.by(request), ObjectNode.class);
    }

    private static List<String> ids(SearchResponse<ObjectNode> answer) {
        return answer.hits().hits().stream().map(Hit::id).toList();
    }

    private Map<String, Object> searches() throws Exception {
        SearchResponse<ObjectNode> found = search(r -> r.index(index).query(hybrid(null, null)).size(150));
        List<String> pages = new ArrayList<>();
        for (int from = 0; from < 150; from += 50) {
            int start = from;
            pages.addAll(ids(search(r -> r.index(index).query(hybrid(150, null)).from(start).size(50))));
        }
        JsonData mmr = JsonData.of(JSON.convertValue(given.get("mmr"), Map.class));
        SearchResponse<ObjectNode> faceted = search(
            r -> r.index(index)
                .query(hybrid(null, null))
                .size(0)
                .aggregations("categories", a -> a.terms(t -> t.field("category.keyword").size(100)))
        );
        Map<String, Long> buckets = new LinkedHashMap<>();
        faceted.aggregations().get("categories").sterms().buckets().array().forEach(b -> buckets.put(b.key(), b.docCount()));
        Map<String, Object> saw = new LinkedHashMap<>();
        saw.put("neural", ids(search(r -> r.index(index).query(neural(null)).size(150))));
        saw.put("hybrid", ids(found));
        saw.put("total", found.hits().total().value());
        saw.put("legs", JSON.readTree(found.hits().hits().get(0).fields().get("_legs").toJson().toString()));
        saw.put("vectors", found.hits().hits().stream().filter(hit -> hit.source().has("embedding")).count());
        saw.put("pages", pages);
        saw.put("diverse", ids(search(r -> r.index(index).query(hybrid(null, null)).size(20).ext("mmr", mmr))));
        saw.put("buckets", buckets);
        saw.put("counted", client.count(c -> c.index(index).query(hybrid(null, null))).count());
        return saw;
    }

    private interface Call {
        void run() throws Exception;
    }

    private static Map<String, Object> raised(Call call) throws Exception {
        try {
            call.run();
        } catch (OpenSearchException e) {
            return Map.of("class", "OpenSearchException", "status", e.status(), "type", e.error().type(), "text", e.error().reason());
        } catch (ResponseException e) {
            // What it takes for a failure of the node, which it tries elsewhere: 502, 503 and 504.
            return Map.of("class", "ResponseException", "status", e.status(), "text", e.getMessage());
        }
        return Map.of();
    }

    private Map<String, Object> errors() throws Exception {
        String away = given.get("away").asText();
        return Map.of(
            "refused", raised(() -> search(r -> r.index(index).query(hybrid(-1, null)))),
            "unknown", raised(() -> search(r -> r.index(index).query(neural("y")))),
            "away", raised(() -> search(r -> r.index(away).query(neural(null)))),
            "after", ids(search(r -> r.index(index).query(neural(null)).size(5))).size()
        );
    }

    private void write(String where, String id, ObjectNode document, double price) throws Exception {
        document.put("price", price);
        client.index(i -> i.index(where).id(id).document(document));
    }

    private List<String> write(List<Hit<ObjectNode>> hits, double price) throws Exception {
        for (Hit<ObjectNode> hit : hits) {
            write(hit.index(), hit.id(), hit.source(), price);
        }
        return hits.stream().map(Hit::id).toList();
    }

    private static Query named(List<String> ids) {
        return Query.of(q -> q.ids(i -> i.values(ids)));
    }

    private List<String> products() throws Exception {
        List<String> some = ids(search(r -> r.index(index).size(40)));
        List<String> written = new ArrayList<>();
        var gotten = client.get(g -> g.index(index).id(some.get(0)), ObjectNode.class);
        write(gotten.index(), gotten.id(), gotten.source(), 1);
        written.add(gotten.id());
        for (var item : client.mget(m -> m.index(index).ids(some.subList(1, 10)), ObjectNode.class).docs()) {
            write(item.result().index(), item.result().id(), item.result().source(), 2);
            written.add(item.result().id());
        }
        var page = search(
            r -> r.index(index).query(named(some.subList(10, 20))).size(10).scroll(t -> t.time("1m")).sort(s -> s.doc(d -> d.order(SortOrder.Asc)))
        );
        written.addAll(write(page.hits().hits(), 3));
        String scroll = page.scrollId();
        client.clearScroll(c -> c.scrollId(scroll));
        String pit = client.createPit(p -> p.index(index).keepAlive(t -> t.time("1m"))).pitId();
        var held = search(r -> r.pit(Pit.of(p -> p.id(pit).keepAlive("1m"))).query(named(some.subList(20, 30))).size(10));
        client.deletePit(p -> p.pitId(pit));
        written.addAll(write(held.hits().hits(), 4));
        var asked = search(r -> r.index(index).source(s -> s.fetch(true)).query(named(some.subList(30, 40))).size(10));
        written.addAll(write(asked.hits().hits(), 5));
        return written;
    }

    private Map<String, Object> own() throws Exception {
        String name = "foreign-java";
        int dimension = given.get("vectors").get(0).size();
        client.indices().create(
            c -> c.index(name)
                .settings(s -> s.knn(true))
                .mappings(
                    m -> m.properties("title", p -> p.text(t -> t))
                        .properties(
                            "embedding",
                            p -> p.knnVector(
                                v -> v.dimension(dimension).method(k -> k.name("hnsw").engine("lucene").spaceType("cosinesimil"))
                            )
                        )
                )
        );
        BulkRequest.Builder bulk = new BulkRequest.Builder().index(name);
        for (int at = 0; at < given.get("titles").size(); at++) {
            ObjectNode document = JSON.createObjectNode();
            document.set("title", given.get("titles").get(at));
            document.set("embedding", given.get("vectors").get(at));
            String id = Integer.toString(at);
            bulk.operations(o -> o.index(i -> i.id(id).document(document)));
        }
        boolean failed = client.bulk(bulk.build()).errors();
        client.indices().refresh(r -> r.index(name));
        var found = search(r -> r.index(name).query(hybrid(null, "query_encoder")).size(150));
        List<List<List<Object>>> legs = new ArrayList<>();
        for (Query leg : List.of(words(), neural("query_encoder"))) {
            var hits = search(r -> r.index(name).query(leg).size(150)).hits().hits();
            legs.add(hits.stream().map(hit -> List.<Object>of(hit.id(), hit.score())).toList());
        }
        write(found.hits().hits(), 1);
        return Map.of("failed", failed, "found", ids(found), "legs", legs);
    }
}
