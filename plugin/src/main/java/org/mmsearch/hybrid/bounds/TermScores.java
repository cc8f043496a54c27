package org.mmsearch.hybrid.bounds;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import org.apache.lucene.index.FieldInfo;
import org.apache.lucene.index.IndexOptions;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.index.Term;
import org.apache.lucene.index.TermStates;
import org.apache.lucene.search.CollectionStatistics;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.TermStatistics;
import org.apache.lucene.search.similarities.BM25Similarity;
import org.apache.lucene.search.similarities.BooleanSimilarity;
import org.apache.lucene.search.similarities.PerFieldSimilarityWrapper;
import org.apache.lucene.search.similarities.Similarity;
import org.opensearch.lucene.similarity.LegacyBM25Similarity;

/**
 * The greatest scores of terms on a shard, from their statistics alone: those of the shard, or of all shards if the search has collected
 * them ({@code dfs_query_then_fetch}). They do not depend on segments.
 *
 * <p>BM25 scores a term {@code boost · idf · tf}, where {@code tf} grows with the term's frequency in the document, to 1, or to
 * {@code k1 + 1} with the older similarity, which has that factor.
 */
final class TermScores {

    /** What the statistics of all shards do not know a term by. */
    private static final long UNKNOWN = Long.MAX_VALUE;

    private final IndexSearcher searcher;
    private final Map<Term, TermStates> states = new HashMap<>();
    private final Map<String, Field> fields = new HashMap<>();

    /** What the terms of a field share: similarity, statistics (null if no document has the field), and the greatest frequency. */
    private record Field(Similarity similarity, CollectionStatistics statistics, float frequency) {}

    TermScores(IndexSearcher searcher) {
        this.searcher = searcher;
    }

    /**
     * Returns the greatest score of a term.
     *
     * @param term the term
     * @param known its statistics on this shard, or null to look them up
     * @return the score; 0 if no document has the term, NaN if the field's similarity has no known bound
     */
    float of(Term term, TermStates known) throws IOException {
        TermStatistics found = statistics(term, known);
        return found == null ? 0 : score(term.field(), List.of(found));
    }

    /** Returns the greatest score of a phrase, whose idf is the sum of its terms'; 0 if one of its positions has no known term. */
    float ofPhrase(String field, Term[][] positions) throws IOException {
        List<TermStatistics> all = new ArrayList<>();
        for (Term[] alternatives : positions) {
            int before = all.size();
            for (Term term : alternatives) {
                TermStatistics found = statistics(term, null);
                if (found != null) {
                    all.add(found);
                }
            }
            if (all.size() == before) {
                return 0;
            }
        }
        return score(field, all);
    }

    /** Returns the greatest score of terms that count as one, as frequent as the most frequent of them; 0 if none is known. */
    float ofSynonyms(String field, Iterable<Term> terms) throws IOException {
        TermStatistics most = null;
        for (Term term : terms) {
            TermStatistics found = statistics(term, null);
            if (found != null && (most == null || found.docFreq() > most.docFreq())) {
                most = found;
            }
        }
        return most == null ? 0 : score(field, List.of(most));
    }

    /** Returns what {@link #of} has looked up for a term, or null. */
    TermStates lookedUp(Term term) {
        return states.get(term);
    }

    private TermStatistics statistics(Term term, TermStates known) throws IOException {
        TermStates found = known == null ? states.get(term) : known;
        if (found == null) {
            found = TermStates.build(searcher, term, true);
            states.put(term, found);
        }
        if (found.docFreq() > 0) {
            return searcher.termStatistics(term, found.docFreq(), found.totalTermFreq());
        }
        // A term that this shard lacks may be on others, whose statistics the searcher then has.
        TermStatistics elsewhere = searcher.termStatistics(term, 1, UNKNOWN);
        return elsewhere.totalTermFreq() == UNKNOWN ? null : elsewhere;
    }

    private float score(String name, List<TermStatistics> terms) throws IOException {
        Field field = fields.get(name);
        if (field == null) {
            Similarity similarity = searcher.getSimilarity() instanceof PerFieldSimilarityWrapper each
                ? each.get(name)
                : searcher.getSimilarity();
            field = new Field(similarity, searcher.collectionStatistics(name), frequency(name));
            fields.put(name, field);
        }
        if (bounded(field.similarity()) == false) {
            return Float.NaN;
        }
        if (field.statistics() == null) {
            return 0;
        }
        float saturated = saturated(field.similarity());
        if (field.frequency() == Float.MAX_VALUE && saturated > 0) {
            return saturated * idf(field.statistics(), terms);
        }
        // The length 1 is the shortest.
        return field.similarity()
            .scorer(1, field.statistics(), terms.toArray(TermStatistics[]::new))
            .score(field.frequency(), 1);
    }

    /** Returns what BM25 multiplies the idf by where a term is as frequent as can be; 0 for other similarities. */
    @SuppressWarnings("deprecation")
    private static float saturated(Similarity similarity) {
        if (similarity.getClass() == BM25Similarity.class) {
            return 1;
        }
        return similarity instanceof LegacyBM25Similarity older ? 1 + older.getK1() : 0;
    }

    /** As {@link BM25Similarity} computes it, without its table of lengths and its explanation, which take longer than all the rest. */
    private static float idf(CollectionStatistics collection, List<TermStatistics> terms) {
        double sum = 0;
        for (TermStatistics term : terms) {
            sum += (float) Math.log(1 + (collection.docCount() - term.docFreq() + 0.5) / (term.docFreq() + 0.5));
        }
        return (float) sum;
    }

    /** The older BM25 is that of indexes whose mapping or settings name one. */
    @SuppressWarnings("deprecation")
    private static boolean bounded(Similarity similarity) {
        return similarity instanceof BM25Similarity
            || similarity instanceof LegacyBM25Similarity
            || similarity instanceof BooleanSimilarity;
    }

    /** Returns the greatest frequency in a document: 1 in a field that does not store frequencies. */
    private float frequency(String field) {
        for (LeafReaderContext leaf : searcher.getIndexReader().leaves()) {
            FieldInfo info = leaf.reader().getFieldInfos().fieldInfo(field);
            if (info != null) {
                return info.getIndexOptions() == IndexOptions.DOCS ? 1 : Float.MAX_VALUE;
            }
        }
        return Float.MAX_VALUE;
    }
}
