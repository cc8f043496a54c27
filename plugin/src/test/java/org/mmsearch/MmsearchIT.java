package org.mmsearch;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
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

/** What every test on an in-JVM cluster shares: nodes with k-NN and mmsearch, and indices of one shape. */
public abstract class MmsearchIT extends OpenSearchIntegTestCase {

    @Override
    protected Collection<Class<? extends Plugin>> nodePlugins() {
        return List.of(Knn.plugin(), MmsearchPlugin.class);
    }

    /** The legs of a hybrid run one after the other, as on small shards, or at the same time, as on large ones. */
    @Override
    protected Settings nodeSettings(int nodeOrdinal) {
        return Settings.builder()
            .put(super.nodeSettings(nodeOrdinal))
            .put("mmsearch.hybrid.legs_at_once_from", randomFrom(0, 100_000))
            .build();
    }

    /** @return settings of nodes that keep segments and translogs in a repository, the same for all of a suite */
    protected Settings remoteStore() {
        if (repository == null) {
            repository = randomRepoPath().toAbsolutePath();
        }
        return Settings.builder()
            .put(remoteStoreClusterSettings("remote", repository))
            // Each write waits for so long.
            .put("cluster.remote_store.translog.buffer_interval", "10ms")
            .build();
    }

    /**
     * Creates an index of products: {@code title}, {@code color}, {@code price}, and the vector {@code v}.
     *
     * @param name its name
     * @param shards how many shards, without replicas
     * @param dimension of {@code v}
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

    /** The node that parses and coordinates, as one and the same does for REST. */
    private static String node() {
        return internalCluster().getNodeNames()[0];
    }

    /** @return a client of the node that {@link #asked} parses on */
    protected static Client asker() {
        return internalCluster().client(node());
    }

    /**
     * Searches by a JSON body, as REST does.
     *
     * @param index name or names
     * @param body the request's body
     */
    protected static SearchResponse ask(String index, String body) {
        return asker().search(asked(index, body)).actionGet();
    }

    /** @return the message of a search that must fail with status 400 */
    protected static String failure(String index, String body) {
        Exception e = expectThrows(Exception.class, () -> ask(index, body));
        assertEquals(e.toString(), RestStatus.BAD_REQUEST, ExceptionsHelper.status(e));
        return ExceptionsHelper.stackTrace(e);
    }

    /** The ways in which a hybrid is answered on several shards. */
    protected enum HybridWay {
        ONE_SEARCH,
        TWO_ROUNDS,
        POINT_IN_TIME
    }

    private static volatile HybridWay way = HybridWay.ONE_SEARCH;
    private Path repository;

    /**
     * Does something while hybrids are answered in one way. By one search, those that cannot be take two rounds; by two rounds, all do; by
     * a point in time, the cluster's operator has switched the others off.
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

    /** Waits for the copies of shards that are filled by segments: they have them a little later than the refresh. */
    protected static void awaitAllCopies(String index, int documents) throws Exception {
        for (String node : internalCluster().getNodeNames()) {
            String id = internalCluster().clusterService(node).localNode().getId();
            SearchRequest request = new SearchRequest(index).source(new SearchSourceBuilder().size(0)).preference("_prefer_nodes:" + id);
            request.requestCache(false);
            assertBusy(() -> assertEquals(documents, asker().search(request).actionGet().getHits().getTotalHits().value()));
        }
    }

    /** Every search of the test has freed its readers. */
    protected static void assertNothingOpen() throws Exception {
        assertBusy(() -> {
            long open = client().admin().indices().prepareStats().setSearch(true).get().getTotal().getSearch().getOpenContexts();
            assertEquals("open reader contexts", 0, open);
        });
    }

    /** @return a search request of a JSON body */
    protected static SearchRequest asked(String index, String body) {
        NamedXContentRegistry registry = internalCluster().getInstance(NamedXContentRegistry.class, node());
        try (
            XContentParser parser = XContentType.JSON.xContent()
                .createParser(registry, DeprecationHandler.THROW_UNSUPPORTED_OPERATION, body)
        ) {
            SearchSourceBuilder source = SearchSourceBuilder.fromXContent(parser);
            if (way == HybridWay.TWO_ROUNDS && source.minScore() == null) {
                // No score is lower, and one search cannot answer a request that has it.
                source.minScore(-1);
            }
            return new SearchRequest(Strings.splitStringByCommaToArray(index)).source(source);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
