package org.mmsearch.hybrid;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeSet;

import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.index.shard.ShardId;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.search.aggregations.InternalAggregation;

/** What the legs of a hybrid found on one shard, and reduced, on all of them. */
final class InternalLegs extends InternalAggregation {

    private static final Comparator<ShardId> BY_NAME = Comparator.comparing(ShardId::getIndexName)
        .thenComparingInt(ShardId::id)
        .thenComparing(shard -> shard.getIndex().getUUID());

    private final int window;
    private final List<ShardId> shards;
    private final List<LegHits> legs;

    InternalLegs(String name, Map<String, Object> metadata, int window, List<ShardId> shards, List<LegHits> legs) {
        super(name, metadata);
        this.window = window;
        this.shards = shards;
        this.legs = legs;
    }

    InternalLegs(StreamInput in) throws IOException {
        super(in);
        window = in.readVInt();
        shards = in.readList(ShardId::new);
        legs = in.readList(LegHits::new);
    }

    @Override
    protected void doWriteTo(StreamOutput out) throws IOException {
        out.writeVInt(window);
        out.writeList(shards);
        out.writeList(legs);
    }

    @Override
    public String getWriteableName() {
        return LegsAggregationBuilder.NAME;
    }

    List<ShardId> shards() {
        return shards;
    }

    List<LegHits> legs() {
        return legs;
    }

    @Override
    public InternalAggregation reduce(List<InternalAggregation> aggregations, ReduceContext context) {
        List<InternalLegs> parts = aggregations.stream().map(InternalLegs.class::cast).toList();
        TreeSet<ShardId> all = new TreeSet<>(BY_NAME);
        parts.forEach(part -> all.addAll(part.shards));
        List<ShardId> merged = new ArrayList<>(all);
        List<LegHits> mergedLegs = new ArrayList<>(legs.size());
        for (int leg = 0; leg < legs.size(); leg++) {
            mergedLegs.add(merge(parts, leg, merged));
        }
        return new InternalLegs(getName(), getMetadata(), window, merged, mergedLegs);
    }

    /** A hit of one of the parts, its shard counted among the merged ones. */
    private record Candidate(LegHits hits, int position, int shard) {
        float score() {
            return hits.scores()[position];
        }

        int doc() {
            return hits.docs()[position];
        }
    }

    private static final Comparator<Candidate> BEST_FIRST = (a, b) -> {
        int byScore = Float.compare(b.score(), a.score());
        if (byScore != 0) {
            return byScore;
        }
        int byShard = Integer.compare(a.shard, b.shard);
        return byShard != 0 ? byShard : Integer.compare(a.doc(), b.doc());
    };

    private LegHits merge(List<InternalLegs> parts, int leg, List<ShardId> merged) {
        List<Candidate> candidates = new ArrayList<>();
        for (InternalLegs part : parts) {
            int[] shardOf = part.shards.stream().mapToInt(merged::indexOf).toArray();
            LegHits hits = part.legs.get(leg);
            for (int i = 0; i < hits.size(); i++) {
                candidates.add(new Candidate(hits, i, shardOf[hits.shards()[i]]));
            }
        }
        candidates.sort(BEST_FIRST);
        int size = Math.min(window, candidates.size());
        LegHits result = new LegHits(new int[size], new long[size], new int[size], new float[size]);
        for (int i = 0; i < size; i++) {
            Candidate candidate = candidates.get(i);
            result.shards()[i] = candidate.shard;
            result.seqNos()[i] = candidate.hits.seqNos()[candidate.position];
            result.docs()[i] = candidate.doc();
            result.scores()[i] = candidate.score();
        }
        return result;
    }

    @Override
    protected boolean mustReduceOnSingleInternalAgg() {
        return false;
    }

    @Override
    public Object getProperty(List<String> path) {
        if (path.isEmpty()) {
            return this;
        }
        throw new IllegalArgumentException("[" + LegsAggregationBuilder.NAME + "] has no property " + path);
    }

    @Override
    public XContentBuilder doXContentBody(XContentBuilder builder, Params params) throws IOException {
        for (int leg = 0; leg < legs.size(); leg++) {
            builder.field(String.valueOf(leg), legs.get(leg).size());
        }
        return builder;
    }

    @Override
    public boolean equals(Object other) {
        return super.equals(other) && other instanceof InternalLegs that
            && window == that.window
            && shards.equals(that.shards)
            && legs.size() == that.legs.size()
            && java.util.stream.IntStream.range(0, legs.size()).allMatch(i -> same(legs.get(i), that.legs.get(i)));
    }

    private static boolean same(LegHits a, LegHits b) {
        return Arrays.equals(a.shards(), b.shards())
            && Arrays.equals(a.seqNos(), b.seqNos())
            && Arrays.equals(a.docs(), b.docs())
            && Arrays.equals(a.scores(), b.scores());
    }

    @Override
    public int hashCode() {
        return Objects.hash(super.hashCode(), window, shards, legs.size());
    }
}
