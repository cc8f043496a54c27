package org.mmsearch.shard;

import java.io.IOException;

import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.MatchNoDocsQuery;
import org.apache.lucene.search.QueryVisitor;
import org.opensearch.search.approximate.ApproximateQuery;
import org.opensearch.search.approximate.ApproximateScoreQuery;
import org.opensearch.search.internal.ContextIndexSearcher;
import org.opensearch.search.internal.SearchContext;

/**
 * Finds the search that a shard's searcher works for. The searcher knows it and shows it to the queries of the approximation
 * framework alone, so such a query is asked. Nothing is kept beside the search, and it works wherever the searcher is used:
 * in queries, aggregations, rescoring, explanations and fetches.
 */
public final class SearchContexts {

    private SearchContexts() {}

    /** @return null where the searcher is none of a search's, as in a percolator or a highlighter */
    public static SearchContext of(IndexSearcher searcher) throws IOException {
        if (!(searcher instanceof ContextIndexSearcher)) {
            return null;
        }
        Probe probe = new Probe();
        searcher.rewrite(new ApproximateScoreQuery(new MatchNoDocsQuery("asks for the search"), probe));
        return probe.shown;
    }

    private static final class Probe extends ApproximateQuery {
        private SearchContext shown;

        @Override
        protected boolean canApproximate(SearchContext context) {
            shown = context;
            return false;
        }

        @Override
        public String toString(String field) {
            return "search context";
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
}
