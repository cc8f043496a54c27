package org.mmsearch.hybrid.legs;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

import org.mmsearch.WireForm;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.search.aggregations.InternalAggregation;

/** The aggregation result with the windows of a hybrid's legs on one shard or, after the reduce, on all shards. */
public final class InternalLegs extends InternalAggregation {

    private final List<ShardWindows> shards;

    InternalLegs(String name, Map<String, Object> metadata, List<ShardWindows> shards) {
        super(name, metadata);
        this.shards = shards;
    }

    /** Returns a result with the given windows. */
    public static InternalLegs of(String name, List<ShardWindows> shards) {
        return new InternalLegs(name, null, shards);
    }

    /** Reads it from the wire. */
    public InternalLegs(StreamInput in) throws IOException {
        super(in);
        WireForm.read(in, LegsAggregationBuilder.NAME, WireForm.FIRST);
        shards = in.readList(ShardWindows::read);
    }

    @Override
    protected void doWriteTo(StreamOutput out) throws IOException {
        WireForm.begin(out, WireForm.FIRST);
        out.writeList(shards);
    }

    @Override
    public String getWriteableName() {
        return LegsAggregationBuilder.NAME;
    }

    /** Returns the windows of each shard. */
    public List<ShardWindows> shards() {
        return shards;
    }

    @Override
    public InternalAggregation reduce(List<InternalAggregation> aggregations, ReduceContext context) {
        List<ShardWindows> all = new ArrayList<>();
        aggregations.forEach(part -> all.addAll(((InternalLegs) part).shards));
        return new InternalLegs(getName(), getMetadata(), all);
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
        return builder.field("shards", shards.size());
    }
}
