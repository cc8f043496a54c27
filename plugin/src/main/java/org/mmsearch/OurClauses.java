package org.mmsearch;

import org.apache.lucene.search.BooleanClause;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryBuilderVisitor;

/** Looks for mmsearch's clauses in a query. */
final class OurClauses {

    private static final String OURS = OurClauses.class.getPackageName() + ".";

    private OurClauses() {}

    /** @param query or null */
    static boolean in(QueryBuilder query) {
        return first(query) != null;
    }

    /** @return the name of the first of our clauses in the query, or null */
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
