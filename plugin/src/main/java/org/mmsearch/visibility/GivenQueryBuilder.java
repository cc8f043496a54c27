package org.mmsearch.visibility;

import java.io.IOException;

import org.apache.lucene.search.Query;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.index.query.AbstractQueryBuilder;
import org.opensearch.index.query.QueryShardContext;

/** Wraps a shard's Lucene query as a query builder, for APIs that require one. It is not serializable. */
final class GivenQueryBuilder extends AbstractQueryBuilder<GivenQueryBuilder> {

    private static final String NAME = "mmsearch_given";

    private final Query query;

    GivenQueryBuilder(Query query) {
        this.query = query;
    }

    @Override
    protected Query doToQuery(QueryShardContext context) {
        return query;
    }

    @Override
    protected void doWriteTo(StreamOutput out) {
        throw new IllegalStateException("[" + NAME + "] stays on its shard");
    }

    @Override
    protected void doXContent(XContentBuilder builder, Params params) throws IOException {
        builder.startObject(NAME).field("query", query.toString()).endObject();
    }

    @Override
    protected boolean doEquals(GivenQueryBuilder other) {
        return query.equals(other.query);
    }

    @Override
    protected int doHashCode() {
        return query.hashCode();
    }

    @Override
    public String getWriteableName() {
        return NAME;
    }
}
