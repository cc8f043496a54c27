package org.mmsearch.visibility;

import java.io.IOException;

import org.apache.lucene.search.BooleanClause.Occur;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.MatchNoDocsQuery;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.QueryVisitor;
import org.apache.lucene.search.ScoreMode;
import org.apache.lucene.search.Weight;
import org.opensearch.search.internal.SearchContext;

/**
 * Matches and scores like the vector query of the current search, without what surrounds it: boosts, and the security plugin's rules,
 * each of which adds 1 to the score of its matches.
 */
final class RawScoreQuery extends Query {

    @Override
    public Weight createWeight(IndexSearcher searcher, ScoreMode mode, float boost) throws IOException {
        SearchContext search = SearchContexts.of(searcher);
        Finder finder = new Finder();
        if (search != null && search.parsedQuery() != null) {
            search.parsedQuery().query().visit(finder);
        }
        Query scored = finder.found == null ? new MatchNoDocsQuery("no vector query in the search") : finder.found;
        return searcher.createWeight(searcher.rewrite(scored), mode, boost);
    }

    private static final class Finder extends QueryVisitor {
        private KnnQuery found;

        @Override
        public QueryVisitor getSubVisitor(Occur occur, Query parent) {
            if (parent instanceof KnnQuery knn) {
                found = knn;
            }
            return occur == Occur.MUST_NOT ? EMPTY_VISITOR : this;
        }
    }

    @Override
    public String toString(String field) {
        return "raw score";
    }

    @Override
    public void visit(QueryVisitor visitor) {
        visitor.visitLeaf(this);
    }

    @Override
    public boolean equals(Object other) {
        return sameClassAs(other);
    }

    @Override
    public int hashCode() {
        return classHash();
    }
}
