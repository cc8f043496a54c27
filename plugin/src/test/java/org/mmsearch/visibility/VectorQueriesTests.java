package org.mmsearch.visibility;

import java.io.IOException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;

import org.mmsearch.Knn;
import org.opensearch.Version;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.cluster.ClusterName;
import org.opensearch.cluster.ClusterState;
import org.opensearch.cluster.node.DiscoveryNode;
import org.opensearch.cluster.node.DiscoveryNodeRole;
import org.opensearch.cluster.node.DiscoveryNodes;
import org.opensearch.common.io.stream.BytesStreamOutput;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.util.concurrent.ThreadContext;
import org.opensearch.common.xcontent.json.JsonXContent;
import org.opensearch.core.common.ParsingException;
import org.opensearch.core.common.bytes.BytesReference;
import org.opensearch.core.common.io.stream.NamedWriteableAwareStreamInput;
import org.opensearch.core.common.io.stream.NamedWriteableRegistry;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.xcontent.DeprecationHandler;
import org.opensearch.core.xcontent.NamedXContentRegistry;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.index.query.AbstractQueryBuilder;
import org.opensearch.index.query.BoolQueryBuilder;
import org.opensearch.index.query.MatchAllQueryBuilder;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.TermQueryBuilder;
import org.opensearch.plugins.SearchPlugin;
import org.opensearch.search.SearchModule;
import org.opensearch.search.builder.SearchSourceBuilder;
import org.opensearch.test.OpenSearchTestCase;

/** Tests the serialization of internal queries, the check of node versions, and the replacement of k-NN queries inside a query. */
public class VectorQueriesTests extends OpenSearchTestCase {

    private static final String NEW = "3";

    private final VectorQueries queries = new VectorQueries();
    private final SearchModule module = new SearchModule(Settings.EMPTY, List.of(knn(), new SearchPlugin() {
        @Override
        public List<QuerySpec<?>> getQueries() {
            return queries.queries();
        }
    }));
    private final NamedWriteableRegistry registry = new NamedWriteableRegistry(module.getNamedWriteables());
    private final ThreadContext context = new ThreadContext(Settings.EMPTY);

    private static SearchPlugin knn() {
        try {
            return (SearchPlugin) Knn.plugin().getConstructor().newInstance();
        } catch (ReflectiveOperationException e) {
            throw new AssertionError(e);
        }
    }

    private void nodes(String... versions) {
        DiscoveryNodes.Builder nodes = DiscoveryNodes.builder();
        for (int i = 0; i < versions.length; i++) {
            Map<String, String> attributes = versions[i] == null ? Map.of() : Map.of("mmsearch_wire", versions[i]);
            Set<DiscoveryNodeRole> roles = Set.of(i == 0 ? DiscoveryNodeRole.CLUSTER_MANAGER_ROLE : DiscoveryNodeRole.DATA_ROLE);
            nodes.add(new DiscoveryNode("n" + i, buildNewFakeTransportAddress(), attributes, roles, Version.CURRENT));
        }
        ClusterState state = ClusterState.builder(ClusterName.DEFAULT).nodes(nodes).build();
        queries.open(registry, () -> state, context);
    }

    private QueryBuilder parsed(String json) throws IOException {
        NamedXContentRegistry contents = new NamedXContentRegistry(module.getNamedXContents());
        try (XContentParser parser = JsonXContent.jsonXContent.createParser(contents, DeprecationHandler.IGNORE_DEPRECATIONS, json)) {
            return AbstractQueryBuilder.parseInnerQueryBuilder(parser);
        }
    }

    private static final String KNN = "{\"knn\": {\"v\": {\"vector\": [1, 0], \"k\": 3}}}";

    public void testEveryQueryThatHoldsAVectorQuery() throws IOException {
        nodes(null, NEW);
        for (String around : List.of(
            "%s",
            "{\"bool\": {\"must\": [{\"match_all\": {}}], \"should\": [%s], \"minimum_should_match\": 1, \"boost\": 2, \"_name\": \"x\"}}",
            "{\"bool\": {\"must\": [%s], \"adjust_pure_negative\": false}}",
            "{\"bool\": {\"filter\": [%s]}}",
            "{\"bool\": {\"must_not\": [%s]}}",
            "{\"nested\": {\"path\": \"p\", \"query\": %s, \"score_mode\": \"max\", \"ignore_unmapped\": true, \"inner_hits\": {}}}",
            "{\"constant_score\": {\"filter\": %s, \"boost\": 3}}",
            "{\"function_score\": {\"query\": %s, \"min_score\": 0.5, \"boost_mode\": \"max\", \"max_boost\": 2}}",
            "{\"dis_max\": {\"queries\": [%s], \"tie_breaker\": 0.25}}",
            "{\"boosting\": {\"positive\": %s, \"negative\": {\"match_all\": {}}, \"negative_boost\": 0.5}}"
        )) {
            QueryBuilder plain = parsed(around.formatted(KNN));
            String before = plain.toString();
            QueryBuilder among = queries.among(plain);
            assertEquals("the caller's own stays", before, plain.toString());
            assertNotSame(plain, among);
            // The only change is that k-NN's query is wrapped in one more object.
            String unwrapped = among.toString()
                .replaceAll("\\s", "")
                .replace("{\"mmsearch_knn\":{\"query\":", "")
                .replace("}}},\"boost\":1.0}}", "}}}");
            assertTrue(among.toString(), among.toString().contains("mmsearch_knn"));
            assertEquals(before.replaceAll("\\s", ""), unwrapped);
            QueryBuilder none = parsed(around.formatted("{\"match_all\": {}}"));
            assertSame(none, queries.among(none));
        }
    }

    public void testNamesAndBoostsStandOutside() throws IOException {
        nodes(null, NEW);
        QueryBuilder knn = parsed(KNN).boost(2).queryName("near");
        QueryBuilder among = queries.among(knn);
        assertEquals(2, among.boost(), 0);
        assertEquals("near", among.queryName());
        assertEquals("near", knn.queryName());
        QueryBuilder filtered = among.filter(new TermQueryBuilder("color", "red"));
        assertEquals(2, filtered.boost(), 0);
        assertEquals("near", filtered.queryName());
        assertTrue(filtered.toString(), filtered.toString().contains("red"));
    }

    public void testAFilterIsNotTakenIntoTheCallersOwn() throws IOException {
        nodes(null, NEW);
        QueryBuilder knn = parsed(KNN.replace("3}", "3, \"filter\": {\"bool\": {\"must\": [{\"match_all\": {}}]}}}"));
        String before = knn.toString();
        QueryBuilder filtered = queries.among(knn).filter(new TermQueryBuilder("color", "red"));
        assertTrue(filtered.toString(), filtered.toString().contains("red"));
        assertEquals(before, knn.toString());
    }

    public void testAnOlderNodeReceivesQueriesThatItCanRead() throws IOException {
        QueryBuilder knn = parsed(KNN);
        nodes(null, NEW, null);
        assertSame(knn, queries.among(knn));
        nodes(null, NEW, "1");
        assertSame(knn, queries.among(knn));
        nodes(null, NEW, "a word of somebody else");
        assertSame(knn, queries.among(knn));
        // A node without data runs no queries.
        nodes(null, NEW, "4");
        assertEquals("mmsearch_knn", queries.among(knn).getWriteableName());
    }

    /** Expected bytes: {@code boost} as a float, no name, the wrapped query (here a core query), and the minimum score. */
    public void testOnTheWireAsTheFirstReleaseWroteIt() throws IOException {
        assertWire("3f8000000001096d617463685f616c6c400000000000", new KnnQueryBuilder(queries, new MatchAllQueryBuilder().boost(2), null));
        assertWire("3f8000000001096d617463685f616c6c4000000000013f000000", new KnnQueryBuilder(queries, new MatchAllQueryBuilder().boost(2), 0.5f));
        assertWire("3f8000000001", new RawScoreQueryBuilder());
    }

    private void assertWire(String expected, QueryBuilder query) throws IOException {
        try (BytesStreamOutput out = new BytesStreamOutput()) {
            query.writeTo(out);
            assertEquals(expected, HexFormat.of().formatHex(BytesReference.toBytes(out.bytes())));
            StreamInput in = new NamedWriteableAwareStreamInput(out.bytes().streamInput(), registry);
            assertEquals(query, registry.getReader(QueryBuilder.class, query.getWriteableName()).read(in));
            assertEquals(-1, in.read());
        }
    }

    public void testNoRequestAsksForThem() {
        for (String name : List.of("mmsearch_knn", "mmsearch_raw_score")) {
            Exception e = expectThrows(ParsingException.class, () -> parsed("{\"" + name + "\": {}}"));
            assertTrue(e.getMessage(), e.getMessage().contains("internal"));
        }
    }

    public void testRadialSearches() throws IOException {
        assertFalse(VectorQueries.isRadial(parsed(KNN)));
        assertTrue(VectorQueries.isRadial(parsed(KNN.replace("\"k\": 3", "\"min_score\": 0.5"))));
        assertTrue(VectorQueries.isRadial(parsed(KNN.replace("\"k\": 3", "\"max_distance\": 2"))));
        // A field may have the name of a parameter.
        assertFalse(VectorQueries.isRadial(parsed(KNN.replace("\"v\"", "\"min_score\""))));
    }

    public void testRulesInTheRequest() {
        nodes(null, NEW);
        QueryBuilder own = new TermQueryBuilder("color", "red");
        BoolQueryBuilder secured = new BoolQueryBuilder().minimumShouldMatch(1)
            .should(new TermQueryBuilder("shop", "a"))
            .must(new MatchAllQueryBuilder());
        SearchRequest request = new SearchRequest("products").source(new SearchSourceBuilder().query(secured));
        // A request may contain the same query; only the header proves that the security plugin added the rules.
        assertSame(own, queries.allowed(request, own));
        assertNull(queries.allowed(request, null));
        assertFalse(queries.rulesInRequest());
        context.putHeader("_opendistro_security_filter_level_dls_done", "yes");
        assertTrue(queries.rulesInRequest());
        BoolQueryBuilder rules = new BoolQueryBuilder().minimumShouldMatch(1).should(new TermQueryBuilder("shop", "a"));
        assertEquals(rules, queries.allowed(request, null));
        assertEquals(new BoolQueryBuilder().filter(own).filter(rules), queries.allowed(request, own));
    }
}
