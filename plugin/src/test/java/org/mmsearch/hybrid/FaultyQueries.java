package org.mmsearch.hybrid;

import java.io.IOException;
import java.util.List;
import java.util.Objects;

import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.QueryVisitor;
import org.apache.lucene.search.ScoreMode;
import org.apache.lucene.search.Weight;
import org.opensearch.common.lucene.search.Queries;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.index.query.AbstractQueryBuilder;
import org.opensearch.index.query.QueryShardContext;
import org.opensearch.plugins.Plugin;
import org.opensearch.plugins.SearchPlugin;

/**
 * A query that fails on some shards and matches all documents on the others: {@code {"faulty": {"query": [1]}}} fails when it is built on
 * shard 1, {@code {"faulty": {"search": [1]}}} when it runs.
 */
public final class FaultyQueries extends Plugin implements SearchPlugin {

    private static final String NAME = "faulty";

    @Override
    public List<QuerySpec<?>> getQueries() {
        return List.of(new QuerySpec<>(NAME, Builder::new, Builder::parse));
    }

    private static final class Builder extends AbstractQueryBuilder<Builder> {
        private final boolean early;
        private final List<Integer> shards;

        private Builder(boolean early, List<Integer> shards) {
            this.early = early;
            this.shards = shards;
        }

        private Builder(StreamInput in) throws IOException {
            super(in);
            early = in.readBoolean();
            shards = in.readList(StreamInput::readVInt);
        }

        private static Builder parse(XContentParser parser) throws IOException {
            parser.nextToken();
            boolean early = parser.currentName().equals("query");
            parser.nextToken();
            List<Integer> shards = parser.list().stream().map(shard -> (Integer) shard).toList();
            parser.nextToken();
            return new Builder(early, shards);
        }

        @Override
        protected void doWriteTo(StreamOutput out) throws IOException {
            out.writeBoolean(early);
            out.writeCollection(shards, StreamOutput::writeVInt);
        }

        @Override
        protected void doXContent(XContentBuilder builder, Params params) throws IOException {
            builder.startObject(NAME).field(early ? "query" : "search", shards).endObject();
        }

        @Override
        protected Query doToQuery(QueryShardContext context) {
            boolean fails = shards.contains(context.getShardId());
            if (fails && early) {
                throw new IllegalStateException("the query broke on " + context.getShardId());
            }
            return fails ? new Broken(context.getShardId()) : Queries.newMatchAllQuery();
        }

        @Override
        protected boolean doEquals(Builder other) {
            return early == other.early && shards.equals(other.shards);
        }

        @Override
        protected int doHashCode() {
            return Objects.hash(early, shards);
        }

        @Override
        public String getWriteableName() {
            return NAME;
        }
    }

    private static final class Broken extends Query {
        private final int shard;

        private Broken(int shard) {
            this.shard = shard;
        }

        @Override
        public Weight createWeight(IndexSearcher searcher, ScoreMode scoreMode, float boost) {
            throw new IllegalStateException("the search broke on " + shard);
        }

        @Override
        public void visit(QueryVisitor visitor) {
            visitor.visitLeaf(this);
        }

        @Override
        public String toString(String field) {
            return "broken on " + shard;
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof Broken that && shard == that.shard;
        }

        @Override
        public int hashCode() {
            return shard;
        }
    }
}
