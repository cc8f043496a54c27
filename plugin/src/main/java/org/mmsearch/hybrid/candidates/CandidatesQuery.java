package org.mmsearch.hybrid.candidates;

import java.util.List;

import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.search.BooleanClause;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.ConstantScoreScorerSupplier;
import org.apache.lucene.search.ConstantScoreWeight;
import org.apache.lucene.search.DocIdSetIterator;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.QueryVisitor;
import org.apache.lucene.search.ScoreMode;
import org.apache.lucene.search.ScorerSupplier;
import org.apache.lucene.search.Weight;
import org.mmsearch.hybrid.legs.LegSearches;
import org.mmsearch.hybrid.legs.Legs;
import org.mmsearch.hybrid.legs.ShardLegs;
import org.opensearch.search.internal.SearchContext;

/**
 * Placeholder for a hybrid in a search that collects the windows of its legs. It matches all documents. So the filters that OpenSearch
 * wraps around it (alias filters, document-level security) apply to the legs.
 */
final class CandidatesQuery extends Query {

    private final LegSearches searches;
    private final List<Query> legs;
    private final Legs described;

    CandidatesQuery(LegSearches searches, List<Query> legs, Legs described) {
        this.searches = searches;
        this.legs = legs;
        this.described = described;
    }

    /** Returns the candidates query inside the query of a search, or null. */
    static CandidatesQuery in(Query query) {
        if (query instanceof CandidatesQuery found) {
            return found;
        }
        if (query instanceof BooleanQuery bool) {
            for (BooleanClause clause : bool.clauses()) {
                CandidatesQuery found = clause.isRequired() ? in(clause.query()) : null;
                if (found != null) {
                    return found;
                }
            }
        }
        return null;
    }

    ShardLegs on(SearchContext context) {
        return new ShardLegs(searches, context, legs, described.fusion().window(), described.fusion().needsRanges());
    }

    @Override
    public Weight createWeight(IndexSearcher searcher, ScoreMode scoreMode, float boost) {
        // Not Lucene's match-all query, because OpenSearch may approximate it.
        return new ConstantScoreWeight(this, boost) {
            @Override
            public ScorerSupplier scorerSupplier(LeafReaderContext leaf) {
                int documents = leaf.reader().maxDoc();
                return ConstantScoreScorerSupplier.fromIterator(DocIdSetIterator.all(documents), score(), scoreMode, documents);
            }

            @Override
            public boolean isCacheable(LeafReaderContext leaf) {
                return true;
            }
        };
    }

    @Override
    public void visit(QueryVisitor visitor) {
        visitor.visitLeaf(this);
    }

    @Override
    public String toString(String field) {
        return "hybrid legs " + legs;
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
