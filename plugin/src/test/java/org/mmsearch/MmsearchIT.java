package org.mmsearch;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Collection;
import java.util.List;

import org.opensearch.ExceptionsHelper;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.common.CheckedRunnable;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.core.common.Strings;
import org.opensearch.core.rest.RestStatus;
import org.opensearch.core.xcontent.DeprecationHandler;
import org.opensearch.core.xcontent.NamedXContentRegistry;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.search.builder.SearchSourceBuilder;
import org.opensearch.search.pipeline.SearchPipelineService;
import org.opensearch.plugins.Plugin;
import org.opensearch.test.OpenSearchIntegTestCase;
import org.opensearch.transport.client.Client;

import static org.opensearch.test.hamcrest.OpenSearchAssertions.assertAcked;

/** Base class of tests on an in-JVM cluster: nodes with k-NN and mmsearch, and indices with the same mapping. */
public abstract class MmsearchIT extends OpenSearchIntegTestCase {

    @Override
    protected Collection<Class<? extends Plugin>> nodePlugins() {
        return List.of(Knn.plugin(), MmsearchPlugin.class);
    }

    /** Randomly runs the legs of a hybrid sequentially, as on small shards, or concurrently, as on large shards. */
    @Override
    protected Settings nodeSettings(int nodeOrdinal) {
        return Settings.builder()
            .put(super.nodeSettings(nodeOrdinal))
            .put("mmsearch.hybrid.legs_at_once_from", randomFrom(0, 100_000))
            .build();
    }

    /**
     * Creates an index of products: {@code title}, {@code color}, {@code price}, and the vector {@code v}.
     *
     * @param name name of the index
     * @param shards number of primary shards, without replicas
     * @param dimension dimension of {@code v}
     */
    protected void createProducts(String name, int shards, int dimension) {
        Settings settings = Settings.builder()
            .put("index.number_of_shards", shards)
            .put("index.number_of_replicas", 0)
            .put("index.knn", true)
            .build();
        String mapping = """
            {"properties": {
               "title": {"type": "text"},
               "color": {"type": "keyword"},
               "price": {"type": "float"},
               "v": {"type": "knn_vector", "dimension": %s, "space_type": "l2",
                     "method": {"name": "hnsw", "engine": "lucene"}}}}
            """.formatted(dimension);
        assertAcked(client().admin().indices().prepareCreate(name).setSettings(settings).setMapping(mapping));
        ensureGreen(name);
    }

    /** Returns the node that parses and coordinates requests; for REST requests, one node does both. */
    private static String node() {
        return internalCluster().getNodeNames()[0];
    }

    /** Returns a client of the node on which {@link #asked} parses. */
    protected static Client asker() {
        return internalCluster().client(node());
    }

    /**
     * Runs a search with a JSON body, as the REST layer does.
     *
     * @param index name of the index, or several names separated by commas
     * @param body the search body
     */
    protected static SearchResponse ask(String index, String body) {
        return asker().search(asked(index, body)).actionGet();
    }

    /** Returns the error message of a search that must fail with status 400. */
    protected static String failure(String index, String body) {
        Exception e = expectThrows(Exception.class, () -> ask(index, body));
        assertEquals(e.toString(), RestStatus.BAD_REQUEST, ExceptionsHelper.status(e));
        return ExceptionsHelper.stackTrace(e);
    }

    /** The executions of a hybrid on several shards. */
    protected enum HybridWay {
        ONE_SEARCH,
        TWO_ROUNDS,
        POINT_IN_TIME
    }

    private static volatile HybridWay way = HybridWay.ONE_SEARCH;

    /**
     * Runs a test with one execution of hybrids. With one search, hybrids that do not support it take two rounds. With two rounds, all
     * hybrids do. With a point in time, the cluster settings disable the other executions.
     */
    protected static void by(HybridWay chosen, CheckedRunnable<Exception> action) throws Exception {
        String factories = SearchPipelineService.ENABLED_SYSTEM_GENERATED_FACTORIES_SETTING.getKey();
        way = chosen;
        try {
            if (chosen == HybridWay.POINT_IN_TIME) {
                set(Settings.builder().putList(factories, "somebody_elses"));
            }
            action.run();
        } finally {
            way = HybridWay.ONE_SEARCH;
            if (chosen == HybridWay.POINT_IN_TIME) {
                set(Settings.builder().putNull(factories));
            }
        }
    }

    private static void set(Settings.Builder settings) {
        assertAcked(client().admin().cluster().prepareUpdateSettings().setTransientSettings(settings));
    }

    /** Checks that all searches of the test released their reader contexts. */
    protected static void assertNothingOpen() throws Exception {
        assertBusy(() -> {
            long open = client().admin().indices().prepareStats().setSearch(true).get().getTotal().getSearch().getOpenContexts();
            assertEquals("open reader contexts", 0, open);
        });
    }

    /** Returns a search request with a JSON body. */
    protected static SearchRequest asked(String index, String body) {
        NamedXContentRegistry registry = internalCluster().getInstance(NamedXContentRegistry.class, node());
        try (
            XContentParser parser = XContentType.JSON.xContent()
                .createParser(registry, DeprecationHandler.THROW_UNSUPPORTED_OPERATION, body)
        ) {
            SearchSourceBuilder source = SearchSourceBuilder.fromXContent(parser);
            if (way == HybridWay.TWO_ROUNDS && source.minScore() == null) {
                // No score is lower, but a request with min_score cannot use one search.
                source.minScore(-1);
            }
            return new SearchRequest(Strings.splitStringByCommaToArray(index)).source(source);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
