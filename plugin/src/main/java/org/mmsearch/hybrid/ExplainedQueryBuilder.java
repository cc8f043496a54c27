package org.mmsearch.hybrid;

import java.io.IOException;
import java.util.Objects;

import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.search.Explanation;
import org.apache.lucene.search.FilterWeight;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.QueryVisitor;
import org.apache.lucene.search.ScoreMode;
import org.apache.lucene.search.Weight;
import org.mmsearch.WireForm;
import org.opensearch.common.lucene.Lucene;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.index.query.AbstractQueryBuilder;
import org.opensearch.index.query.IdsQueryBuilder;
import org.opensearch.index.query.QueryShardContext;

/** Matches one document and returns the explanation that a search of all shards computed for it. */
public final class ExplainedQueryBuilder extends AbstractQueryBuilder<ExplainedQueryBuilder> {

    /** The name on the wire. */
    public static final String NAME = "mmsearch_explained";

    private final String id;
    private final Explanation explanation;

    /**
     * @param id the document's id
     * @param explanation the explanation of its score
     */
    public ExplainedQueryBuilder(String id, Explanation explanation) {
        this.id = id;
        this.explanation = explanation;
    }

    /** Reads it from the wire. */
    public ExplainedQueryBuilder(StreamInput in) throws IOException {
        super(in);
        WireForm.read(in, NAME, WireForm.FIRST);
        id = in.readString();
        explanation = Lucene.readExplanation(in);
    }

    @Override
    protected void doWriteTo(StreamOutput out) throws IOException {
        WireForm.begin(out, WireForm.FIRST);
        out.writeString(id);
        Lucene.writeExplanation(out, explanation);
    }

    @Override
    protected Query doToQuery(QueryShardContext context) throws IOException {
        return new Explained(new IdsQueryBuilder().addIds(id).toQuery(context), explanation);
    }

    private static final class Explained extends Query {
        private final Query document;
        private final Explanation explanation;

        Explained(Query document, Explanation explanation) {
            this.document = document;
            this.explanation = explanation;
        }

        @Override
        public Weight createWeight(IndexSearcher searcher, ScoreMode mode, float boost) throws IOException {
            return new FilterWeight(this, searcher.createWeight(searcher.rewrite(document), mode, boost)) {
                @Override
                public Explanation explain(LeafReaderContext leaf, int doc) throws IOException {
                    if (in.explain(leaf, doc).isMatch() == false) {
                        return Explanation.noMatch("not [" + document + "]");
                    }
                    if (boost == 1f) {
                        return explanation;
                    }
                    return Explanation.match(
                        explanation.getValue().floatValue() * boost, "product of:", explanation, Explanation.match(boost, "boost")
                    );
                }
            };
        }

        @Override
        public void visit(QueryVisitor visitor) {
            document.visit(visitor);
        }

        @Override
        public String toString(String field) {
            return "explained " + document;
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof Explained that && document.equals(that.document) && explanation.equals(that.explanation);
        }

        @Override
        public int hashCode() {
            return Objects.hash(document, explanation);
        }
    }

    @Override
    protected void doXContent(XContentBuilder builder, Params params) throws IOException {
        builder.startObject(NAME).field("id", id).endObject();
    }

    @Override
    public String getWriteableName() {
        return NAME;
    }

    @Override
    protected boolean doEquals(ExplainedQueryBuilder other) {
        return id.equals(other.id) && explanation.equals(other.explanation);
    }

    @Override
    protected int doHashCode() {
        return Objects.hash(id, explanation);
    }
}
