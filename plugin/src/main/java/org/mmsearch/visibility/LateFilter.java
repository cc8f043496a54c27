package org.mmsearch.visibility;

import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.QueryVisitor;

/** A placeholder for a filter that is known only when the query is rewritten. It must be set before. */
final class LateFilter extends Query {

    private Query filter;

    void is(Query known) {
        filter = known;
    }

    @Override
    public Query rewrite(IndexSearcher searcher) {
        if (filter == null) {
            throw new IllegalStateException("expected the outer filter to be set before its query is rewritten, got none");
        }
        return filter;
    }

    @Override
    public String toString(String field) {
        return "outer filter";
    }

    @Override
    public void visit(QueryVisitor visitor) {
        visitor.visitLeaf(this);
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
