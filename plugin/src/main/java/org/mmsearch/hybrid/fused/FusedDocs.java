package org.mmsearch.hybrid.fused;

import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

import org.mmsearch.fusion.FusedHit;
import org.mmsearch.fusion.ScoreRange;
import org.mmsearch.shard.ScoredDocs;

/** The fused hits as document numbers of one reader. */
final class FusedDocs {

    private final ScoredDocs docs;
    private final FusedHit[] hits;
    private final List<ScoreRange> ranges;

    /** @param ranges of the legs' scores in this reader; empty if the fusion does not use them */
    FusedDocs(List<RankDoc> found, List<ScoreRange> ranges) {
        this.ranges = ranges;
        RankDoc[] sorted = found.toArray(RankDoc[]::new);
        Arrays.sort(sorted, Comparator.comparingInt(RankDoc::doc));
        int[] numbers = new int[sorted.length];
        float[] scores = new float[sorted.length];
        hits = new FusedHit[sorted.length];
        for (int i = 0; i < sorted.length; i++) {
            numbers[i] = sorted[i].doc();
            hits[i] = sorted[i].hit();
            scores[i] = hits[i].score();
        }
        docs = new ScoredDocs(numbers, scores);
    }

    private FusedDocs(ScoredDocs docs, FusedHit[] hits, List<ScoreRange> ranges) {
        this.ranges = ranges;
        this.docs = docs;
        this.hits = hits;
    }

    /** Returns the documents of one leg with its raw scores. */
    FusedDocs ofLeg(int leg) {
        int[] chosen = new int[hits.length];
        int count = 0;
        for (int i = 0; i < hits.length; i++) {
            if (hits[i].legs()[leg] != null) {
                chosen[count++] = i;
            }
        }
        int[] legDocs = new int[count];
        float[] legScores = new float[count];
        FusedHit[] legHits = new FusedHit[count];
        for (int i = 0; i < count; i++) {
            legDocs[i] = docs.doc(chosen[i]);
            legHits[i] = hits[chosen[i]];
            legScores[i] = legHits[i].legs()[leg].raw();
        }
        return new FusedDocs(new ScoredDocs(legDocs, legScores), legHits, ranges);
    }

    /** The range of a leg's scores; null if the fusion does not use it. */
    ScoreRange range(int leg) {
        return ranges.isEmpty() ? null : ranges.get(leg);
    }

    /** Returns the documents with their fused scores. */
    ScoredDocs docs() {
        return docs;
    }

    /** Returns the fused hit of a document, or null. */
    FusedHit hit(int doc) {
        int found = docs.find(doc);
        return found < 0 ? null : hits[found];
    }
}
