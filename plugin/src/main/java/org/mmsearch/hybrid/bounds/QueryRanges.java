package org.mmsearch.hybrid.bounds;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

import org.apache.lucene.index.Term;
import org.apache.lucene.index.TermStates;
import org.apache.lucene.search.BooleanClause;
import org.apache.lucene.search.BooleanClause.Occur;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.BoostQuery;
import org.apache.lucene.search.CombinedFieldQuery;
import org.apache.lucene.search.ConstantScoreQuery;
import org.apache.lucene.search.DisjunctionMaxQuery;
import org.apache.lucene.search.FieldExistsQuery;
import org.apache.lucene.search.IndexOrDocValuesQuery;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.MatchAllDocsQuery;
import org.apache.lucene.search.MatchNoDocsQuery;
import org.apache.lucene.search.MultiPhraseQuery;
import org.apache.lucene.search.PhraseQuery;
import org.apache.lucene.search.PointRangeQuery;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.QueryVisitor;
import org.apache.lucene.search.SynonymQuery;
import org.apache.lucene.search.TermInSetQuery;
import org.apache.lucene.search.TermQuery;
import org.apache.lucene.search.join.ScoreMode;
import org.mmsearch.fusion.Ranged;
import org.mmsearch.fusion.ScoreRange;
import org.opensearch.common.lucene.search.function.FunctionScoreQuery;
import org.opensearch.index.search.OpenSearchToParentBlockJoinQuery;
import org.opensearch.search.approximate.ApproximateScoreQuery;

/** The ranges of the scores that queries can reach on a shard, in closed form from the statistics of their terms. */
public final class QueryRanges {

    private static final ScoreRange CONSTANT = new ScoreRange(0, 1);
    private static final ScoreRange NOTHING = new ScoreRange(0, 0);

    private final TermScores terms;

    private QueryRanges(IndexSearcher searcher) {
        terms = new TermScores(searcher);
    }

    /**
     * A query and the range of its scores.
     *
     * @param query the query, with the statistics of its terms, so that its search need not look them up again
     * @param range {@link ScoreRange#NONE} if nothing bounds the query, as with scripts, functions and sums over nested documents
     */
    public record Bounded(Query query, ScoreRange range) {}

    /**
     * Returns a query with the range of its scores.
     *
     * @param searcher of the shard
     * @param rewritten the query, rewritten by the searcher
     */
    public static Bounded of(IndexSearcher searcher, Query rewritten) throws IOException {
        QueryRanges ranges = new QueryRanges(searcher);
        ScoreRange range = ranges.range(rewritten);
        return new Bounded(ranges.withStatistics(rewritten), range);
    }

    private Query withStatistics(Query query) {
        return switch (query) {
            case TermQuery term -> {
                TermStates found = terms.lookedUp(term.getTerm());
                yield found == null ? term : new TermQuery(term.getTerm(), found);
            }
            case BoostQuery boosted -> new BoostQuery(withStatistics(boosted.getQuery()), boosted.getBoost());
            case BooleanQuery bool -> {
                BooleanQuery.Builder builder = new BooleanQuery.Builder();
                builder.setMinimumNumberShouldMatch(bool.getMinimumNumberShouldMatch());
                bool.clauses().forEach(each -> builder.add(each.isScoring() ? withStatistics(each.query()) : each.query(), each.occur()));
                yield builder.build();
            }
            case DisjunctionMaxQuery max -> new DisjunctionMaxQuery(
                max.getDisjuncts().stream().map(this::withStatistics).toList(),
                max.getTieBreakerMultiplier()
            );
            default -> query;
        };
    }

    private ScoreRange range(Query query) throws IOException {
        return switch (query) {
            case Ranged ranged -> ranged.range();
            case BoostQuery boosted -> range(boosted.getQuery()).times(boosted.getBoost());
            case BooleanQuery bool -> bool(bool);
            case DisjunctionMaxQuery max -> max(max);
            case TermQuery term -> upTo(terms.of(term.getTerm(), term.getTermStates()));
            case SynonymQuery synonyms -> upTo(terms.ofSynonyms(synonyms.getField(), synonyms.getTerms()));
            case PhraseQuery phrase -> upTo(terms.ofPhrase(phrase.getField(), each(phrase.getTerms())));
            case MultiPhraseQuery phrase -> upTo(terms.ofPhrase(phrase.getTermArrays()[0][0].field(), phrase.getTermArrays()));
            case CombinedFieldQuery combined -> combined(combined);
            case OpenSearchToParentBlockJoinQuery nested -> nested(nested);
            case FunctionScoreQuery function -> function.getFunctions().length == 0 ? range(function.getSubQuery()) : ScoreRange.NONE;
            case ApproximateScoreQuery approximated -> range(approximated.getOriginalQuery());
            case MatchNoDocsQuery none -> NOTHING;
            case ConstantScoreQuery constant -> CONSTANT;
            case MatchAllDocsQuery all -> CONSTANT;
            case IndexOrDocValuesQuery either -> CONSTANT;
            case PointRangeQuery points -> CONSTANT;
            case TermInSetQuery set -> CONSTANT;
            case FieldExistsQuery exists -> CONSTANT;
            default -> ScoreRange.NONE;
        };
    }

    /** A lone scoring clause keeps its own range; of several, each optional one may be missing. */
    private ScoreRange bool(BooleanQuery bool) throws IOException {
        boolean optional = bool.clauses().stream().anyMatch(clause -> clause.occur() == Occur.MUST || clause.occur() == Occur.FILTER);
        List<BooleanClause> scoring = bool.clauses().stream().filter(BooleanClause::isScoring).toList();
        float low = 0;
        float high = 0;
        for (BooleanClause clause : scoring) {
            ScoreRange each = range(clause.query());
            if (each.known() == false) {
                return ScoreRange.NONE;
            }
            boolean always = clause.occur() == Occur.MUST || optional == false && scoring.size() == 1;
            low += always ? each.low() : 0;
            high += each.high();
        }
        return new ScoreRange(low, high);
    }

    private ScoreRange max(DisjunctionMaxQuery query) throws IOException {
        float greatest = 0;
        float sum = 0;
        float low = Float.POSITIVE_INFINITY;
        for (Query each : query.getDisjuncts()) {
            ScoreRange range = range(each);
            if (range.known() == false) {
                return ScoreRange.NONE;
            }
            greatest = Math.max(greatest, range.high());
            sum += range.high();
            low = Math.min(low, range.low());
        }
        return new ScoreRange(Float.isFinite(low) ? low : 0, greatest + query.getTieBreakerMultiplier() * (sum - greatest));
    }

    private ScoreRange combined(CombinedFieldQuery query) throws IOException {
        List<Term> found = new ArrayList<>();
        query.visit(new QueryVisitor() {
            @Override
            public void consumeTerms(Query in, Term... all) {
                found.addAll(Arrays.asList(all));
            }
        });
        return found.isEmpty() ? ScoreRange.NONE : upTo(terms.ofSynonyms(found.get(0).field(), found));
    }

    private ScoreRange nested(OpenSearchToParentBlockJoinQuery query) throws IOException {
        ScoreMode mode = query.getScoreMode();
        if (mode == ScoreMode.None) {
            return NOTHING;
        }
        // Nothing bounds how many nested documents a sum is over.
        return mode == ScoreMode.Total ? ScoreRange.NONE : range(query.getChildQuery());
    }

    private static Term[][] each(Term[] terms) {
        return Arrays.stream(terms).map(term -> new Term[] { term }).toArray(Term[][]::new);
    }

    private static ScoreRange upTo(float score) {
        return new ScoreRange(0, score);
    }
}
