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
import org.mmsearch.fusion.Ranged;
import org.mmsearch.fusion.ScoreRange;
import org.mmsearch.shard.Neighbours;
import org.mmsearch.shard.SearchContexts;
import org.opensearch.common.lucene.search.function.FunctionScoreQuery;

/**
 * A k-NN query whose neighbors are chosen only among the documents that the search may return. Lucene runs a vector search when its query
 * is rewritten, which is before the security plugin adds its rules. Therefore this query postpones the rewrite to
 * {@link #createWeight}, and repeats it only for another reader or filter.
 */
final class KnnQuery extends Query implements Ranged {

    /** Builds the same query with a pre-filter. */
    interface Filtered {
        /** @param filter a query on root documents */
        Query by(Query filter) throws IOException;
    }

    private final String field;
    private final Float least;
    private final ScoreRange range;
    private final Query plain;
    private final Filtered filtered;
    private Object reader;
    private Query filter;
    private Query rewritten;

    /**
     * Creates the query.
     *
     * @param field full name of the vector field
     * @param least minimum score of hits, before boosts, or null
     * @param range the range of the scores, before boosts
     * @param plain the query without a filter
     * @param filtered builds the query with a filter
     */
    KnnQuery(String field, Float least, ScoreRange range, Query plain, Filtered filtered) {
        this.field = field;
        this.least = least;
        this.range = range;
        this.plain = plain;
        this.filtered = filtered;
    }

    @Override
    public ScoreRange range() {
        return range;
    }

    @Override
    public Weight createWeight(IndexSearcher searcher, ScoreMode mode, float boost) throws IOException {
        Query found = rewritten(searcher);
        if (least == null) {
            return ofOneThread(searcher).createWeight(found, mode, boost);
        }
        Query kept = new FunctionScoreQuery(found, null, least, Float.MAX_VALUE);
        if (boost != 1) {
            // ConstantScoreQuery does not pass the boost to its inner query, so the minimum is compared with unboosted scores.
            kept = new BooleanQuery.Builder().add(found, Occur.MUST).add(new ConstantScoreQuery(kept), Occur.FILTER).build();
        }
        return ofOneThread(searcher).createWeight(kept, mode, boost);
    }

    /**
     * Returns the searcher that runs the vector search. A profile belongs to one thread, but Lucene and k-NN run a vector search and its
     * filter in all threads of a searcher. So a profiled search uses a searcher of one thread, and its profile shows this query as a whole.
     */
    private static IndexSearcher ofOneThread(IndexSearcher searcher) {
        if (SearchContexts.profiled(searcher)) {
            IndexSearcher one = new IndexSearcher(searcher.getTopReaderContext());
            one.setSimilarity(searcher.getSimilarity());
            one.setQueryCache(null);
            return one;
        }
        return searcher;
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

    /** Returns whether field-level security hides the field. It removes the field from the reader's field infos, but not its vectors. */
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
