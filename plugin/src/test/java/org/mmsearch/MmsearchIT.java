package org.mmsearch;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;

import org.junit.Before;
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
import org.opensearch.search.MockSearchService;
import org.opensearch.search.builder.SearchSourceBuilder;
import org.opensearch.search.pipeline.SearchPipelineService;
import org.opensearch.plugins.Plugin;
import org.opensearch.test.OpenSearchIntegTestCase;
import org.opensearch.transport.client.Client;

import static org.opensearch.test.hamcrest.OpenSearchAssertions.assertAcked;

/** Base class of tests on an in-JVM cluster: nodes with k-NN and mmsearch, and indices with the same mapping. */
public abstract class MmsearchIT extends OpenSearchIntegTestCase {

    /** Settings of an index whose segments are not merged. */
    protected static final Settings UNMERGED = Settings.builder()
        .put("index.merge.policy.segments_per_tier", 1000)
        .put("index.merge.policy.max_merge_at_once", 1000)
        .build();

    @Override
    protected Collection<Class<? extends Plugin>> nodePlugins() {
        return List.of(Knn.plugin(), MmsearchPlugin.class);
    }

    /** Randomly runs the legs of a hybrid sequentially, as on small shards, or concurrently, as on large shards; in slices or not. */
    @Override
    protected Settings nodeSettings(int nodeOrdinal) {
        return Settings.builder()
            .put(super.nodeSettings(nodeOrdinal))
            .put("mmsearch.hybrid.legs_at_once_from", randomFrom(0, 100_000))
            .put("search.concurrent_segment_search.mode", randomFrom("auto", "all", "none"))
            .put("search.concurrent.max_slice_count", randomFrom(0, 2, 4))
            .build();
    }

    /**
     * Syncs translogs at each request. The framework sets asynchronous translogs at random, which keep their buffers for seconds,
     * and then each test waits up to ten seconds until the buffers are released.
     */
    @Before
    public void syncTranslogs() {
        Settings settings = Settings.builder().put("index.translog.durability", "request").build();
        assertAcked(client().admin().indices().preparePutTemplate("translogs").setPatterns(List.of("*")).setOrder(1).setSettings(settings).get());
    }

    /** Returns settings of nodes with remote-backed storage, the same for all nodes of a suite. */
    protected Settings remoteStore() {
        if (repository == null) {
            repository = randomRepoPath().toAbsolutePath();
        }
        return Settings.builder()
            .put(remoteStoreClusterSettings("remote", repository))
            // The delay of each write.
            .put("cluster.remote_store.translog.buffer_interval", "10ms")
            .build();
    }

    /**
     * Removes the mock plugin for searches, because it changes profiles and the decision on slices.
     *
     * @param mocks the mock plugins of the test framework
     */
    protected static Collection<Class<? extends Plugin>> withOwnSearches(Collection<Class<? extends Plugin>> mocks) {
        return mocks.stream().filter(mock -> mock != MockSearchService.TestPlugin.class).toList();
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
    private Path repository;

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

    /** Waits for replicas with segment replication, which receive segments a little after the refresh. */
    protected static void awaitAllCopies(String index, int documents) throws Exception {
        for (String node : internalCluster().getNodeNames()) {
            String id = internalCluster().clusterService(node).localNode().getId();
            SearchRequest request = new SearchRequest(index).source(new SearchSourceBuilder().size(0)).preference("_prefer_nodes:" + id);
            request.requestCache(false);
            assertBusy(() -> assertEquals(documents, asker().search(request).actionGet().getHits().getTotalHits().value()));
        }
    }

    /** Checks that all searches of the test released their reader contexts. */
    protected static void assertNothingOpen() throws Exception {
        assertBusy(() -> {
            long open = client().admin().indices().prepareStats().setSearch(true).get().getTotal().getSearch().getOpenContexts();
            assertEquals("open reader contexts", 0, open);
        });
    }

    /** Returns the number of segments of an index, over all shards. */
    protected static long segments(String index) {
        return client().admin().indices().prepareStats(index).clear().setSegments(true).get().getTotal().getSegments().getCount();
    }

    /** Sets the concurrent search mode of an index ({@code all}, {@code auto} or {@code none}) and its maximum number of slices. */
    protected static void slices(String index, String mode, int most) {
        Settings settings = Settings.builder()
            .put("index.search.concurrent_segment_search.mode", mode)
            .put("index.search.concurrent.max_slice_count", most)
            .build();
        assertAcked(client().admin().indices().prepareUpdateSettings(index).setSettings(settings));
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
                // No score is lower, but requests with min_score cannot use one search.
                source.minScore(-1);
            }
            return new SearchRequest(Strings.splitStringByCommaToArray(index)).source(source);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
