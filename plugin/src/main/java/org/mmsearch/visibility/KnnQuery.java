package org.mmsearch.visibility;

import java.io.IOException;
import java.util.Objects;

import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.search.BooleanClause.Occur;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.ConstantScoreQuery;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.MatchNoDocsQuery;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.QueryVisitor;
import org.apache.lucene.search.ScoreMode;
import org.apache.lucene.search.Weight;
import org.mmsearch.shard.Neighbours;
import org.opensearch.common.lucene.search.function.FunctionScoreQuery;

/**
 * Nearest neighbours among what a search may find. It does not rewrite itself: Lucene's vector query searches when it is
 * rewritten, which is before the security plugin says what a user may find; so both happen when the weight is made, once per
 * reader.
 */
final class KnnQuery extends Query {

    /** The same query with a filter before the neighbours. */
    interface Filtered {
        /** @param filter of root documents */
        Query by(Query filter) throws IOException;
    }

    private final String field;
    private final Float least;
    private final Query plain;
    private final Filtered filtered;
    private Object reader;
    private Query filter;
    private Query rewritten;

    /**
     * @param field the vectors' full name in the shard
     * @param least the least score that is kept before any boost, or null
     */
    KnnQuery(String field, Float least, Query plain, Filtered filtered) {
        this.field = field;
        this.least = least;
        this.plain = plain;
        this.filtered = filtered;
    }

    @Override
    public Weight createWeight(IndexSearcher searcher, ScoreMode mode, float boost) throws IOException {
        Query found = rewritten(searcher);
        if (least == null) {
            return searcher.createWeight(found, mode, boost);
        }
        Query kept = new FunctionScoreQuery(found, null, least, Float.MAX_VALUE);
        if (boost != 1) {
            // A constant score's inside knows of no boost.
            kept = new BooleanQuery.Builder().add(found, Occur.MUST).add(new ConstantScoreQuery(kept), Occur.FILTER).build();
        }
        return searcher.createWeight(kept, mode, boost);
    }

    private synchronized Query rewritten(IndexSearcher searcher) throws IOException {
        Object id = searcher.getTopReaderContext().id();
        Query outer = OuterFilter.of(searcher);
        if (id != reader || Objects.equals(outer, filter) == false) {
            rewritten = Neighbours.ofShard(searcher, searcher.rewrite(query(searcher, outer)));
            reader = id;
            filter = outer;
        }
        return rewritten;
    }

    private Query query(IndexSearcher searcher, Query outer) throws IOException {
        if (hidden(searcher)) {
            return new MatchNoDocsQuery("no field [" + field + "] here");
        }
        return outer == null ? plain : filtered.by(outer);
    }

    /** Field-level security takes a field out of what a reader says it has, and yet lets its vectors be searched. */
    private boolean hidden(IndexSearcher searcher) {
        for (LeafReaderContext leaf : searcher.getIndexReader().leaves()) {
            if (leaf.reader().getFieldInfos().fieldInfo(field) != null) {
                return false;
            }
        }
        return true;
    }

    @Override
    public String toString(String field) {
        return plain.toString(field);
    }

    @Override
    public void visit(QueryVisitor visitor) {
        plain.visit(visitor.getSubVisitor(Occur.MUST, this));
    }

    @Override
    public boolean equals(Object other) {
        return this == other;
    }

    @Override
    public int hashCode() {
        return System.identityHashCode(this);
    }
}
