package org.mmsearch.visibility;

import java.io.IOException;

import org.apache.lucene.search.Query;
import org.mmsearch.WireForm;
import org.opensearch.core.common.ParsingException;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.index.query.AbstractQueryBuilder;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryRewriteContext;
import org.opensearch.index.query.QueryShardContext;

/** Rescores the hits of a vector query with k-NN's scores. It is internal: requests cannot contain it. */
final class RawScoreQueryBuilder extends AbstractQueryBuilder<RawScoreQueryBuilder> {

    static final String NAME = "mmsearch_raw_score";

    RawScoreQueryBuilder() {}

    RawScoreQueryBuilder(StreamInput in) throws IOException {
        super(in);
        WireForm.read(in, NAME, WireForm.FIRST);
    }

    static QueryBuilder parse(XContentParser parser) {
        throw new ParsingException(parser.getTokenLocation(), "[" + NAME + "] is internal: use the neural query");
    }

    @Override
    protected QueryBuilder doRewrite(QueryRewriteContext context) {
        return this;
    }

    @Override
    protected Query doToQuery(QueryShardContext context) {
        return new RawScoreQuery();
    }

    @Override
    protected void doWriteTo(StreamOutput out) throws IOException {
        WireForm.begin(out, WireForm.FIRST);
    }

    @Override
    protected void doXContent(XContentBuilder builder, Params params) throws IOException {
        builder.startObject(NAME).endObject();
    }

    @Override
    protected boolean doEquals(RawScoreQueryBuilder other) {
        return true;
    }

    @Override
    protected int doHashCode() {
        return NAME.hashCode();
    }

    @Override
    public String getWriteableName() {
        return NAME;
    }
}
