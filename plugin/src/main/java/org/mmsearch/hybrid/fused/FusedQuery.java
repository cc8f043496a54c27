package org.mmsearch.hybrid.fused;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

import org.apache.lucene.search.BooleanClause;
import org.apache.lucene.search.Explanation;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.QueryVisitor;
import org.apache.lucene.search.ScoreMode;
import org.apache.lucene.search.Weight;
import org.mmsearch.fusion.FusedHit;
import org.mmsearch.fusion.LearnedModel;
import org.mmsearch.fusion.LegScore;
import org.mmsearch.fusion.ScoreRange;
import org.mmsearch.hybrid.legs.Legs;

/** Matches the fused hits. They are resolved to document numbers once per reader, for scoring, explaining and the list of legs per hit. */
abstract class FusedQuery extends Query {

    private final List<Query> legs;
    private final Legs described;
    private Object reader;
    private FusedDocs docs;

    FusedQuery(List<Query> legs, Legs described) {
        this.legs = legs;
        this.described = described;
    }

    /** Resolves the fused hits to documents of the shard's searcher. */
    abstract FusedDocs resolve(IndexSearcher searcher) throws IOException;

    /** Returns the description of the legs. */
    final Legs described() {
        return described;
    }

    /** Returns the legs as Lucene queries of this shard. */
    final List<Query> legs() {
        return legs;
    }

    /** Returns the fused documents of the searcher's reader, resolved once. */
    final synchronized FusedDocs docs(IndexSearcher searcher) throws IOException {
        Object id = searcher.getTopReaderContext().id();
        if (id != reader) {
            docs = resolve(searcher);
            reader = id;
        }
        return docs;
    }

    @Override
    public final Weight createWeight(IndexSearcher searcher, ScoreMode scoreMode, float boost) throws IOException {
        FusedDocs found = docs(searcher);
        return new FusedWeight(this, found, boost, (hit, by) -> explain(found, hit, by));
    }

    private Explanation explain(FusedDocs found, FusedHit hit, float boost) {
        List<Explanation> lines = new ArrayList<>();
        LearnedModel learned = described.fusion().learned();
        for (int i = 0; i < hit.legs().length; i++) {
            LegScore leg = hit.legs()[i];
            String name = "leg [" + described.names().get(i) + "], " + role(i, leg);
            if (leg == null) {
                lines.add(Explanation.noMatch(name + ": not in its window"));
            } else {
                ScoreRange range = found.range(i);
                String by = range == null ? "" : " by " + described.fusion().evidence(i, range);
                lines.add(Explanation.match(leg.normalized(), name + ", rank " + leg.rank() + ", normalized from " + leg.raw() + by));
            }
        }
        if (learned != null) {
            lines.add(Explanation.match((float) learned.rest(hit.legs()), "log odds of the intercept and of the products of scores"));
        }
        if (boost != 1f) {
            lines.add(Explanation.match(boost, "boost"));
        }
        return Explanation.match(hit.score() * boost, "fused by " + described.fusion() + ", of:", lines);
    }

    /** What a leg counts in the fusion: its weight, or what it adds to the log odds of a learned one. */
    private String role(int leg, LegScore score) {
        LearnedModel learned = described.fusion().learned();
        if (learned == null) {
            return "weight " + described.fusion().weight(leg);
        }
        return "log odds " + (score == null ? 0f : (float) learned.logOdds(leg, score));
    }

    @Override
    public final void visit(QueryVisitor visitor) {
        // Highlighting takes the legs' terms from here.
        QueryVisitor inner = visitor.getSubVisitor(BooleanClause.Occur.SHOULD, this);
        for (Query leg : legs) {
            leg.visit(inner);
        }
    }

    @Override
    public final boolean equals(Object other) {
        return this == other;
    }

    @Override
    public final int hashCode() {
        return System.identityHashCode(this);
    }
}
