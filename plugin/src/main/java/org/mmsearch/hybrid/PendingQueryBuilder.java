package org.mmsearch.hybrid;

import java.io.IOException;
import java.util.function.Supplier;

import org.apache.lucene.search.Query;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.index.query.AbstractQueryBuilder;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryRewriteContext;
import org.opensearch.index.query.QueryShardContext;

/** Placeholder for a hybrid while its legs run. The next rewrite replaces it. It is never sent to another node. */
final class PendingQueryBuilder extends AbstractQueryBuilder<PendingQueryBuilder> {

    private final Supplier<QueryBuilder> result;

    PendingQueryBuilder(Supplier<QueryBuilder> result) {
        this.result = result;
    }

    @Override
    protected QueryBuilder doRewrite(QueryRewriteContext context) {
        QueryBuilder ready = result.get();
        return ready == null ? this : ready;
    }

    @Override
    protected void doWriteTo(StreamOutput out) {
        throw new IllegalStateException("a hybrid whose legs still run cannot be sent");
    }

    @Override
    protected Query doToQuery(QueryShardContext context) {
        throw new IllegalStateException("a hybrid whose legs still run cannot be run on a shard");
    }

    @Override
    protected void doXContent(XContentBuilder builder, Params params) throws IOException {
        builder.startObject(getWriteableName()).endObject();
    }

    @Override
    public String getWriteableName() {
        return "mmsearch_pending";
    }

    @Override
    protected boolean doEquals(PendingQueryBuilder other) {
        return result == other.result;
    }

    @Override
    protected int doHashCode() {
        return System.identityHashCode(result);
    }
}
