package org.mmsearch.hybrid.fused;

import java.io.IOException;

import org.apache.lucene.search.Explanation;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.QueryVisitor;
import org.apache.lucene.search.ScoreMode;
import org.apache.lucene.search.Weight;

/** Matches the fused documents of one leg, for the leg's {@code _name}. The leg does not run again. */
final class LegDocsQuery extends Query {

    private final FusedQuery fused;
    private final int leg;

    LegDocsQuery(FusedQuery fused, int leg) {
        this.fused = fused;
        this.leg = leg;
    }

    @Override
    public Weight createWeight(IndexSearcher searcher, ScoreMode scoreMode, float boost) throws IOException {
        return new FusedWeight(
            this,
            fused.docs(searcher).ofLeg(leg),
            boost,
            (hit, factor) -> Explanation.match(hit.legs()[leg].raw() * factor, "found by " + this)
        );
    }

    @Override
    public void visit(QueryVisitor visitor) {
        fused.legs().get(leg).visit(visitor);
    }

    @Override
    public String toString(String field) {
        return "leg [" + fused.described().names().get(leg) + "]";
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof LegDocsQuery that && that.fused == fused && that.leg == leg;
    }

    @Override
    public int hashCode() {
        return 31 * fused.hashCode() + leg;
    }
}
