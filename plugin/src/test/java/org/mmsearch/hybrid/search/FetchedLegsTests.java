package org.mmsearch.hybrid.search;

import java.util.List;

import org.apache.lucene.search.join.ScoreMode;
import org.mmsearch.fusion.Cutoff;
import org.mmsearch.fusion.Fusion;
import org.mmsearch.hybrid.legs.Legs;
import org.mmsearch.hybrid.legs.Totals;
import org.opensearch.index.query.InnerHitBuilder;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryBuilders;
import org.opensearch.search.aggregations.AggregationBuilders;
import org.opensearch.search.builder.SearchSourceBuilder;
import org.opensearch.search.collapse.CollapseBuilder;
import org.opensearch.search.fetch.subphase.highlight.HighlightBuilder;
import org.opensearch.test.OpenSearchTestCase;

public class FetchedLegsTests extends OpenSearchTestCase {

    private static final QueryBuilder LEG = QueryBuilders.matchQuery("title", "chair");

    private static Legs described(List<Integer> named, Totals totals) {
        return new Legs(List.of("0"), named, Fusion.DEFAULT, Cutoff.NONE, totals, true);
    }

    private static void assertSent(boolean sent, SearchSourceBuilder source) {
        assertSent(sent, LEG, described(List.of(), Totals.WINDOW), source);
    }

    private static void assertSent(boolean sent, QueryBuilder leg, Legs described, SearchSourceBuilder source) {
        assertEquals(sent ? List.of(leg) : List.of(), FetchedLegs.of(List.of(leg), described, source));
    }

    private static SearchSourceBuilder body() {
        return new SearchSourceBuilder();
    }

    public void testLegsThatNothingReadsAreNotSent() {
        assertSent(false, null);
        assertSent(false, body());
        assertSent(false, body().size(50).sort("price").postFilter(LEG).fetchField("title").trackTotalHits(true));
        assertSent(false, body().aggregation(AggregationBuilders.terms("kinds").field("kind").subAggregation(AggregationBuilders.avg("a").field("p"))));
    }

    public void testLegsThatTheBodyReadsAreSent() {
        assertSent(true, body().highlighter(new HighlightBuilder().field("title")));
        assertSent(true, body().explain(true));
        assertSent(true, body().profile(true));
        assertSent(true, body().collapse(new CollapseBuilder("kind").setInnerHits(new InnerHitBuilder("all"))));
        assertSent(false, body().collapse(new CollapseBuilder("kind")));
        assertSent(true, body().aggregation(AggregationBuilders.topHits("best")));
        assertSent(true, body().aggregation(AggregationBuilders.terms("kinds").field("kind").subAggregation(AggregationBuilders.topHits("best"))));
    }

    public void testLegsThatAreNamedOrCountedOrHaveInnerHitsAreSent() {
        assertSent(true, LEG, described(List.of(0), Totals.WINDOW), body());
        assertSent(true, LEG, described(List.of(), Totals.ALL), body());
        QueryBuilder inner = QueryBuilders.boolQuery().must(QueryBuilders.matchQuery("title", "chair").queryName("inner"));
        assertSent(true, inner, described(List.of(), Totals.WINDOW), body());
        QueryBuilder nested = QueryBuilders.nestedQuery("sizes", QueryBuilders.matchAllQuery(), ScoreMode.Max).innerHit(new InnerHitBuilder());
        assertSent(true, nested, described(List.of(), Totals.WINDOW), body());
    }
}
