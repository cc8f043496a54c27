package org.mmsearch.neural;

import java.util.Arrays;
import java.util.List;

import org.mmsearch.MmsearchIT;
import org.mmsearch.encoder.triton.StubTriton;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.action.support.WriteRequest;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.index.query.WrapperQueryBuilder;
import org.opensearch.search.SearchHit;
import org.opensearch.search.builder.SearchSourceBuilder;

import static org.opensearch.test.hamcrest.OpenSearchAssertions.assertAcked;

/** Base class of tests of the neural clause on an in-JVM node: a fake Triton server and products around a half circle. */
abstract class NeuralIT extends MmsearchIT {

    protected StubTriton triton;

    @Override
    public void setUp() throws Exception {
        triton = new StubTriton();
        super.setUp();
        // Nodes are shared within a suite, so clear cached vectors of other tests.
        set(Settings.builder().put("mmsearch.cache.size", "0b"));
        set(Settings.builder().putNull("mmsearch.cache.size").putList("mmsearch.triton.endpoints", triton.url()));
    }

    @Override
    public void tearDown() throws Exception {
        Settings.Builder back = Settings.builder();
        for (String key : List.of("triton.endpoints", "triton.timeout", "triton.retries", "triton.max_in_flight", "triton.queue_size",
            "triton.breaker.failures", "triton.breaker.pause", "cache.size", "image.max_bytes", "image.max_pixels")) {
            back.putNull("mmsearch." + key);
        }
        set(back);
        super.tearDown();
        triton.close();
    }

    protected static void set(Settings.Builder settings) {
        assertAcked(client().admin().cluster().prepareUpdateSettings().setTransientSettings(settings));
    }

    /** An index whose field {@code v} is encoded by {@code query_encoder:1} with this fingerprint. */
    protected void createEncoded(String name, int shards, String fingerprint) {
        createEncoded(name, shards, fingerprint, "", Settings.EMPTY);
    }

    /**
     * As above.
     *
     * @param more of the mapping, with a comma after it
     * @param given settings of the index
     */
    protected void createEncoded(String name, int shards, String fingerprint, String more, Settings given) {
        Settings settings = Settings.builder()
            .put("index.number_of_shards", shards)
            .put("index.number_of_replicas", 0)
            .put("index.knn", true)
            .put(given)
            .build();
        String mapping = """
            {%s "_meta": {"mmsearch": {"version": 1, "fields": {
               "v": {"model": "query_encoder", "model_version": "1", "output": "EMBEDDING", "fingerprint": "%s", "dimension": 2},
               "images.v": {"model": "query_encoder", "model_version": "1", "output": "IMAGE_EMBEDDING", "fingerprint": "%s"}}}},
             "properties": {
               "title": {"type": "text"},
               "color": {"type": "keyword"},
               "v": {"type": "knn_vector", "dimension": 2, "space_type": "cosinesimil",
                     "method": {"name": "hnsw", "engine": "lucene"}},
               "bare": {"type": "knn_vector", "dimension": 2, "space_type": "l2",
                     "method": {"name": "hnsw", "engine": "lucene"}},
               "images": {"type": "nested", "properties": {"v": {"type": "knn_vector", "dimension": 2,
                     "space_type": "cosinesimil", "method": {"name": "hnsw", "engine": "lucene"}}}}}}
            """.formatted(more, fingerprint, fingerprint);
        assertAcked(client().admin().indices().prepareCreate(name).setSettings(settings).setMapping(mapping));
        ensureGreen(name);
    }

    /** Product {@code pN} and a text of N letters have the angle N/10. */
    protected void indexProducts(String index, int count) {
        for (int i = 0; i < count; i++) {
            float[] v = StubTriton.vectorOf("x".repeat(i));
            client().prepareIndex(index)
                .setId("p" + i)
                .setSource(
                    "{\"title\": \"chair %s\", \"color\": \"%s\", \"v\": %s, \"bare\": %s}".formatted(
                        i, i % 2 == 0 ? "red" : "blue", Arrays.toString(v), Arrays.toString(v)
                    ),
                    XContentType.JSON
                )
                .get();
        }
        client().admin().indices().prepareRefresh(index).get();
    }

    protected static SearchRequest request(String index, String query) {
        return new SearchRequest(index).source(new SearchSourceBuilder().query(new WrapperQueryBuilder(query)));
    }

    protected static List<String> ids(SearchResponse response) {
        return Arrays.stream(response.getHits().getHits()).map(SearchHit::getId).toList();
    }

    protected static List<String> ids(String index, String query) {
        return ids(client().search(request(index, query)).actionGet());
    }

    protected static WriteRequest.RefreshPolicy now() {
        return WriteRequest.RefreshPolicy.IMMEDIATE;
    }
}
