package org.mmsearch.hybrid;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;

import org.apache.lucene.search.Query;
import org.mmsearch.MmsearchPlugin;
import org.mmsearch.fusion.Fusion;
import org.mmsearch.hybrid.candidates.CandidatesQueryBuilder;
import org.mmsearch.hybrid.fused.InShardQueryBuilder;
import org.mmsearch.hybrid.fused.RankDocsQueryBuilder;
import org.mmsearch.hybrid.legs.Legs;
import org.mmsearch.memory.MemoryBreaker;
import org.opensearch.core.common.ParsingException;
import org.opensearch.index.query.MatchAllQueryBuilder;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryShardContext;
import org.opensearch.index.query.TermQueryBuilder;
import org.opensearch.plugins.Plugin;
import org.opensearch.test.AbstractQueryTestCase;
import org.opensearch.test.TestGeoShapeFieldMapperPlugin;

/** Tests serialization, JSON and grammar of the hybrid clause. {@link HybridIT} tests its hits on a node. */
public class HybridQueryBuilderTests extends AbstractQueryTestCase<HybridQueryBuilder> {

    @Override
    @SuppressWarnings("deprecation") // the framework's own mappings use geo_shape, and it offers no other plugin for it
    protected Collection<Class<? extends Plugin>> getPlugins() {
        return List.of(MmsearchPlugin.class, TestGeoShapeFieldMapperPlugin.class);
    }

    @Override
    protected HybridQueryBuilder doCreateTestQueryBuilder() {
        List<String> legs = new ArrayList<>();
        for (int i = between(1, 10); i > 0; i--) {
            legs.add("{\"term\": {\"%s\": {\"value\": \"%s\", \"boost\": 1.0}}}".formatted(KEYWORD_FIELD_NAME, randomAlphaOfLength(4)));
        }
        StringBuilder json = new StringBuilder("{\"hybrid\": {\"queries\": [" + String.join(",", legs) + "]");
        List<String> weights = new ArrayList<>();
        legs.forEach(leg -> weights.add(Float.toString(1f / legs.size())));
        String parameters = "\"parameters\": {\"weights\": " + weights + "}";
        maybe(json, "\"filter\": {\"match_all\": {}}");
        maybe(json, "\"pagination_depth\": " + between(1, 1000));
        maybe(json, randomFrom(
            "\"fusion\": {}",
            "\"fusion\": {\"combination\": {\"technique\": \"rrf\", \"rank_constant\": 3, " + parameters + "}, \"window_size\": 20}",
            "\"fusion\": {\"normalization\": {\"technique\": \"l2\"}, \"combination\": {\"technique\": \"geometric_mean\"}}",
            "\"fusion\": {\"normalization\": {\"technique\": \"z_score\"}, \"combination\": {" + parameters + "}}"
        ));
        maybe(json, randomFrom("\"cutoff\": {\"gap\": 0.5, \"min_score\": 0.1}", "\"totals\": \"all\""));
        maybe(json, "\"on_encoder_failure\": \"skip\"");
        maybe(json, "\"evidence\": false");
        try {
            return (HybridQueryBuilder) parseQuery(json.append("}}").toString());
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private static void maybe(StringBuilder json, String key) {
        if (randomBoolean()) {
            json.append(", ").append(key);
        }
    }

    @Override
    protected void doAssertLuceneQuery(HybridQueryBuilder builder, Query query, QueryShardContext context) {
        fail("a hybrid that no coordinating node has fused has no Lucene query");
    }

    /** A shard cannot fuse and reports this. */
    @Override
    public void testToQuery() {
        HybridQueryBuilder builder = createTestQueryBuilder();
        Exception e = expectThrows(Exception.class, () -> builder.toQuery(createShardContext()));
        assertTrue(e.getMessage(), e.getMessage().contains("[hybrid] is fused on the coordinating node and is not allowed in queries"));
    }

    /** The shard queries are cacheable: the same reader gives the same fused hits. */
    @Override
    public void testCacheability() throws IOException {
        HybridQueryBuilder hybrid = createTestQueryBuilder();
        Legs legs = hybrid.describe(Fusion.DEFAULT.window(10));
        QueryShardContext context = createShardContext();
        Query query = new InShardQueryBuilder(new HybridClause("hybrid", new MemoryBreaker()).node(), hybrid.queries(), legs, null).toQuery(context);
        assertNotNull(query);
        assertTrue(context.isCacheable());
    }

    @Override
    public void testMustRewrite() throws IOException {
        HybridQueryBuilder builder = createTestQueryBuilder();
        assertSame(builder, builder.rewrite(createShardContext()));
    }

    public void testOfficialShape() throws IOException {
        HybridQueryBuilder hybrid = (HybridQueryBuilder) parseQuery("""
            {"hybrid": {"queries": [{"match_all": {}}, {"term": {"a": "b"}}], "filter": {"term": {"c": "d"}}, "pagination_depth": 7}}""");
        assertEquals(List.of(new MatchAllQueryBuilder(), new TermQueryBuilder("a", "b")), hybrid.queries());
        assertEquals(new TermQueryBuilder("c", "d"), hybrid.pushedFilter());
        assertEquals(7, hybrid.window(Fusion.DEFAULT, 100));
    }

    public void testPaginationDepthWinsOverWindowSize() throws IOException {
        String hybrid = "{\"hybrid\": {\"queries\": [{\"match_all\": {}}], \"fusion\": {\"window_size\": 20}%s}}";
        HybridQueryBuilder both = (HybridQueryBuilder) parseQuery(hybrid.formatted(", \"pagination_depth\": 7"));
        assertEquals(7, both.window(both.options().fusion(), 100));
        HybridQueryBuilder size = (HybridQueryBuilder) parseQuery(hybrid.formatted(""));
        assertEquals(20, size.window(size.options().fusion(), 100));
    }

    /** The base class expects a bool around the query, but a hybrid passes the filter to its queries. */
    @Override
    public void testFilter() throws IOException {
        HybridQueryBuilder plain = new HybridQueryBuilder(new HybridClause("hybrid", new MemoryBreaker()), List.of(new MatchAllQueryBuilder()), null, HybridOptions.DEFAULT);
        assertSame(plain, plain.filter(null));
        assertEquals(new TermQueryBuilder("a", "b"), ((HybridQueryBuilder) plain.filter(new TermQueryBuilder("a", "b"))).pushedFilter());
        QueryBuilder hybrid = parseQuery("{\"hybrid\": {\"queries\": [{\"match_all\": {}}], \"filter\": {\"match_all\": {}}}}");
        HybridQueryBuilder filtered = (HybridQueryBuilder) hybrid.filter(new TermQueryBuilder("a", "b"));
        assertTrue(filtered.pushedFilter().toString(), filtered.pushedFilter().toString().contains("\"a\""));
        assertTrue(filtered.pushedFilter().toString(), filtered.pushedFilter().toString().contains("match_all"));
    }

    public void testANullFilterIsNone() throws IOException {
        assertNull(((HybridQueryBuilder) parseQuery("{\"hybrid\": {\"queries\": [{\"match_all\": {}}], \"filter\": null}}")).pushedFilter());
    }

    public void testRefusals() {
        String one = "\"queries\": [{\"match_all\": {}}]";
        Map<String, String> refused = Map.ofEntries(
            Map.entry("", "[hybrid] requires [queries]"),
            Map.entry("\"queries\": []", "[hybrid] requires [queries]"),
            Map.entry("\"queries\": [" + "{\"match_all\": {}},".repeat(10) + "{\"match_all\": {}}]", "[hybrid] takes at most 10 queries"),
            Map.entry(one + ", \"x\": 1", "[hybrid] query does not support [x]"),
            Map.entry(one + ", \"x\": {}", "[hybrid] query does not support [x]"),
            Map.entry(one + ", \"filter\": \"red\"", "[hybrid] expected [filter] to be a query, got [red]"),
            Map.entry(one + ", \"x\": []", "[hybrid] query does not support [x]"),
            Map.entry(one + ", \"pagination_depth\": 0", "expected [pagination_depth] from 1 to 10000, got [0]"),
            Map.entry(one + ", \"pagination_depth\": 10001", "expected [pagination_depth] from 1 to 10000, got [10001]"),
            Map.entry(one + ", \"totals\": \"some\"", "expected [totals] to be one of [window, all], got [some]"),
            Map.entry(one + ", \"on_encoder_failure\": \"wait\"", "expected [on_encoder_failure] to be one of [fail, skip], got [wait]"),
            Map.entry(one + ", \"_name\": null", "expected [_name] to be text, got null; leave it out"),
            Map.entry(one + ", \"cutoff\": {\"min_score\": 1e300}", "expected a number in [min_score], got [1.0E300]"),
            Map.entry(one + ", \"fusion\": {\"combination\": {\"parameters\": {\"weights\": [1e300]}}}", "a finite number in [weights]"),
            Map.entry(one + ", \"totals\": null", "expected [totals] to be text, got null; leave it out"),
            Map.entry(one + ", \"totals\": \"all\", \"cutoff\": {\"gap\": 0.5}", "leave one out"),
            Map.entry(one + ", \"cutoff\": {\"top\": 1}", "[cutoff] does not support [top]"),
            Map.entry(one + ", \"fusion\": {\"combination\": {\"parameters\": {\"weights\": [0.5, 0.5]}}}", "as many weights as queries, 1, got 2")
        );
        refused.forEach((body, message) -> {
            ParsingException e = expectThrows(ParsingException.class, () -> parseQuery("{\"hybrid\": {" + body + "}}"));
            assertTrue(e.getMessage(), e.getMessage().contains(message));
        });
    }

    public void testInternalFormsCannotBeAskedFor() {
        for (String form : List.of(InShardQueryBuilder.NAME, CandidatesQueryBuilder.NAME, RankDocsQueryBuilder.NAME)) {
            Exception e = expectThrows(ParsingException.class, () -> parseQuery("{\"" + form + "\": {}}"));
            assertTrue(e.getMessage(), e.getMessage().contains("[" + form + "] is internal: use the hybrid query"));
        }
    }
}
