package org.mmsearch.hybrid;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import org.mmsearch.fusion.Bound;
import org.mmsearch.fusion.Combination;
import org.mmsearch.fusion.Cutoff;
import org.mmsearch.fusion.FusedHit;
import org.mmsearch.fusion.Fusion;
import org.mmsearch.fusion.LegScore;
import org.mmsearch.fusion.Normalization;
import org.opensearch.core.common.io.stream.Writeable;
import org.opensearch.core.index.Index;
import org.opensearch.core.index.shard.ShardId;
import org.opensearch.index.query.MatchAllQueryBuilder;
import org.opensearch.index.query.QueryBuilder;

/** One of everything that this plugin sends from node to node, with every part that may be absent present. */
final class WireSamples {

    /** What is written, and what reads it. */
    record Sample(Writeable written, Writeable.Reader<? extends Writeable> reader) {}

    private WireSamples() {}

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
        LegHits hits = new LegHits(new int[] { 0, 1 }, new long[] { 7, 300 }, new int[] { 5, 129 }, new float[] { 2, 1.5f });
        Winner winner = new Winner(1, 300, 129, new FusedHit(129, 0.75f, new LegScore[] { new LegScore(2, 1.5f, 0.5f), null }));
        HybridOptions options = new HybridOptions(fusion, 100, cutoff, Totals.ALL, OnEncoderFailure.SKIP, false);
        Map<String, Sample> all = new LinkedHashMap<>();
        all.put("Fusion", new Sample(fusion, Fusion::new));
        all.put("Cutoff", new Sample(cutoff, Cutoff::new));
        all.put("HybridOptions", new Sample(options, HybridOptions::new));
        all.put("Legs", new Sample(described, Legs::new));
        all.put("LegHits", new Sample(hits, LegHits::new));
        all.put("Winner", new Sample(winner, Winner::read));
        all.put("DegradedLeg", new Sample(new DegradedLeg("dense", "encoder down"), DegradedLeg::new));
        all.put("MmsearchExt", new Sample(new MmsearchExt(List.of(new DegradedLeg("1", "x"))), MmsearchExt::new));
        all.put("InternalLegs", new Sample(new InternalLegs("legs", null, 100, List.of(shard), List.of(hits)), InternalLegs::new));
        all.put("LegsAggregation", new Sample(new LegsAggregationBuilder("legs", clause, legs, 100), in -> new LegsAggregationBuilder(in, clause)));
        all.put(
            "HybridQuery",
            new Sample(
                new HybridQueryBuilder(clause, legs, new MatchAllQueryBuilder(), options).boost(2).queryName("both"),
                in -> new HybridQueryBuilder(in, clause)
            )
        );
        all.put(
            "InShardQuery",
            new Sample(new InShardQueryBuilder(clause, legs, described, shard), in -> new InShardQueryBuilder(in, clause))
        );
        all.put(
            "WinnersQuery",
            new Sample(
                new WinnersQueryBuilder(clause, legs, described, List.of(shard), List.of(winner)),
                in -> new WinnersQueryBuilder(in, clause)
            )
        );
        return all;
    }
}
