package org.mmsearch;

import org.apache.lucene.search.BooleanClause;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryBuilderVisitor;

/** Finds mmsearch's clauses in a query. */
final class OurClauses {

    private static final String OURS = OurClauses.class.getPackageName() + ".";

    private OurClauses() {}

    /**
     * Returns whether a query contains one of mmsearch's clauses.
     *
     * @param query the query, or null
     */
    static boolean in(QueryBuilder query) {
        return first(query) != null;
    }

    /** Returns the name of the first of mmsearch's clauses in the query, or null if it contains none. */
    static String first(QueryBuilder query) {
        if (query == null) {
            return null;
        }
        String[] found = new String[1];
        query.visit(new QueryBuilderVisitor() {
            @Override
            public void accept(QueryBuilder inner) {
                if (found[0] == null && inner.getClass().getName().startsWith(OURS)) {
                    found[0] = inner.getWriteableName();
                }
            }

            @Override
            public QueryBuilderVisitor getChildVisitor(BooleanClause.Occur occur) {
                return this;
            }
        });
        return found[0];
    }
}
