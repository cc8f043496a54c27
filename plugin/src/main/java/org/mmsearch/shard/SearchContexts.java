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
 * Gets the search context of a shard's searcher. The searcher passes it only to queries of the approximation framework, so this class
 * rewrites such a query as a probe. It needs no state and works wherever a searcher is available: in queries, aggregations, rescoring,
 * explanations and fetches.
 */
public final class SearchContexts {

    private SearchContexts() {}

    /**
     * Returns the search context of a searcher.
     *
     * @param searcher a searcher of the shard
     * @return the search context, or null if the searcher belongs to no search, as in a percolator or a highlighter
     * @throws IOException if the probe cannot be rewritten
     */
    public static SearchContext of(IndexSearcher searcher) throws IOException {
        if (!(searcher instanceof ContextIndexSearcher)) {
            return null;
        }
        Probe probe = new Probe();
        searcher.rewrite(new ApproximateScoreQuery(new MatchNoDocsQuery("asks for the search"), probe));
        return probe.shown;
    }

    /** Returns whether a searcher profiles its queries. A profile belongs to one thread, so such a search must run in one. */
    public static boolean profiled(IndexSearcher searcher) {
        return searcher instanceof ContextIndexSearcher shard && shard.getProfiler() != null;
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
