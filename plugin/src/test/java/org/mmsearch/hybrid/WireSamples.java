package org.mmsearch.hybrid;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import org.apache.lucene.search.Explanation;
import org.apache.lucene.search.ScoreDoc;
import org.mmsearch.fusion.Bound;
import org.mmsearch.fusion.Combination;
import org.mmsearch.fusion.Cutoff;
import org.mmsearch.fusion.FusedHit;
import org.mmsearch.fusion.Fusion;
import org.mmsearch.fusion.FusionParser;
import org.mmsearch.fusion.LegScore;
import org.mmsearch.fusion.Normalization;
import org.mmsearch.fusion.ScoreRange;
import org.mmsearch.hybrid.candidates.CandidatesQueryBuilder;
import org.mmsearch.hybrid.fused.HybridNode;
import org.mmsearch.hybrid.fused.InShardQueryBuilder;
import org.mmsearch.hybrid.fused.RankDoc;
import org.mmsearch.hybrid.fused.RankDocsQueryBuilder;
import org.mmsearch.hybrid.fused.ShardRankDocs;
import org.mmsearch.hybrid.legs.InternalLegs;
import org.mmsearch.hybrid.legs.LegWindows;
import org.mmsearch.hybrid.legs.Legs;
import org.mmsearch.hybrid.legs.LegsAggregationBuilder;
import org.mmsearch.hybrid.legs.ShardWindows;
import org.mmsearch.hybrid.legs.Totals;
import org.mmsearch.hybrid.search.DegradedLeg;
import org.mmsearch.hybrid.search.MmsearchExt;
import org.opensearch.core.common.io.stream.Writeable;
import org.opensearch.core.index.Index;
import org.opensearch.core.index.shard.ShardId;
import org.opensearch.index.query.MatchAllQueryBuilder;
import org.opensearch.index.query.QueryBuilder;

/** One sample of every object that the plugin serializes, with all optional parts present. */
final class WireSamples {

    /** A sample and its reader. */
    record Sample(Writeable written, Writeable.Reader<? extends Writeable> reader) {}

    private WireSamples() {}

    /** What finds and fuses by ranges of scores. */
    static Map<String, Sample> ranged(HybridClause clause) {
        HybridNode node = clause.node();
        List<QueryBuilder> legs = List.of(new MatchAllQueryBuilder().boost(2), new MatchAllQueryBuilder());
        ShardId shard = new ShardId(new Index("products-000001", "uuid"), 3);
        Fusion fusion = FusionParser.parse(Map.of("normalization", Map.of("technique", "theoretical_min_max"))).window(10);
        Legs described = new Legs(List.of("lexical", "1"), List.of(0), fusion, Cutoff.NONE, Totals.WINDOW, true);
        RankDoc doc = new RankDoc(129, new FusedHit(129, 0.75f, new LegScore[] { new LegScore(2, 1.5f, 0.5f), null }));
        List<ScoreRange> ranges = List.of(new ScoreRange(0.5f, 3), ScoreRange.NONE);
        ShardRankDocs docs = new ShardRankDocs(shard, 1, List.of(doc), ranges);
        Map<String, Sample> all = new LinkedHashMap<>();
        all.put("Legs", new Sample(described, Legs::new));
        all.put(
            "LegsAggregation",
            new Sample(
                new LegsAggregationBuilder("legs", node.searches(), legs, 100, true),
                in -> new LegsAggregationBuilder(in, node.searches())
            )
        );
        all.put(
            "RankDocs",
            new Sample(
                new RankDocsQueryBuilder(node, legs, described, List.of(docs), null),
                in -> new RankDocsQueryBuilder(in, node)
            )
        );
        return all;
    }

    static Map<String, Sample> all(HybridClause clause) {
        List<QueryBuilder> legs = List.of(new MatchAllQueryBuilder().boost(2), new MatchAllQueryBuilder());
        ShardId shard = new ShardId(new Index("products-000001", "uuid"), 3);
        Bound bound = new Bound(Bound.Mode.CLIP, 0.25f);
        Fusion fusion = new Fusion(
            Normalization.MIN_MAX,
            List.of(bound, bound),
            List.of(bound, new Bound(Bound.Mode.APPLY, 0.5f)),
            Combination.GEOMETRIC_MEAN,
            60,
            List.of(0.25f, 0.75f),
            100
        );
        Cutoff cutoff = new Cutoff(0.5f, 0.25f, 0.125f);
        Legs described = new Legs(List.of("lexical", "1"), List.of(0), fusion, cutoff, Totals.ALL, false);
        ScoreDoc[] lexical = { new ScoreDoc(129, 2), new ScoreDoc(5, 1.5f) };
        ShardWindows windows = new ShardWindows(shard, new LegWindows(0x0123456789ABCDEFL, List.of(lexical, new ScoreDoc[0])));
        RankDoc doc = new RankDoc(129, new FusedHit(129, 0.75f, new LegScore[] { new LegScore(2, 1.5f, 0.5f), null }));
        ShardRankDocs docs = new ShardRankDocs(shard, 0x0123456789ABCDEFL, List.of(doc), List.of());
        HybridNode node = clause.node();
        HybridOptions options = new HybridOptions(fusion, 100, cutoff, Totals.ALL, OnEncoderFailure.SKIP, false);
        Map<String, Sample> all = new LinkedHashMap<>();
        all.put("Fusion", new Sample(fusion, Fusion::read));
        all.put("Cutoff", new Sample(cutoff, Cutoff::new));
        all.put("HybridOptions", new Sample(options, HybridOptions::new));
        all.put("Legs", new Sample(described, Legs::new));
        all.put("ShardWindows", new Sample(windows, ShardWindows::read));
        all.put("DegradedLeg", new Sample(new DegradedLeg("dense", "encoder down"), DegradedLeg::new));
        all.put("MmsearchExt", new Sample(new MmsearchExt(List.of(new DegradedLeg("1", "x"))), MmsearchExt::new));
        all.put("InternalLegs", new Sample(InternalLegs.of("legs", List.of(windows)), InternalLegs::new));
        all.put(
            "LegsAggregation",
            new Sample(
                new LegsAggregationBuilder("legs", node.searches(), legs, 100, false),
                in -> new LegsAggregationBuilder(in, node.searches())
            )
        );
        all.put(
            "HybridQuery",
            new Sample(
                new HybridQueryBuilder(clause, legs, new MatchAllQueryBuilder(), options).boost(2).queryName("both"),
                in -> new HybridQueryBuilder(in, clause)
            )
        );
        all.put(
            "InShardQuery",
            new Sample(new InShardQueryBuilder(node, legs, described, shard), in -> new InShardQueryBuilder(in, node))
        );
        all.put(
            "Candidates",
            new Sample(new CandidatesQueryBuilder(node, legs, described, null), in -> new CandidatesQueryBuilder(in, node))
        );
        all.put(
            "RankDocs",
            new Sample(
                new RankDocsQueryBuilder(node, legs, described, List.of(docs), "point in time"),
                in -> new RankDocsQueryBuilder(in, node)
            )
        );
        Explanation explained = Explanation.match(0.5f, "fused", Explanation.match(2f, "leg"));
        all.put("Explained", new Sample(new ExplainedQueryBuilder("p1", explained), ExplainedQueryBuilder::new));
        return all;
    }
}
