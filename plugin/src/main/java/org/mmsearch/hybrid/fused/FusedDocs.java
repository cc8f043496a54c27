package org.mmsearch.hybrid.fused;

import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

import org.mmsearch.fusion.FusedHit;

/** Fused hits as documents of one reader. */
final class FusedDocs {

    private final int[] docs;
    private final float[] scores;
    private final FusedHit[] hits;
    private final float maxScore;

    FusedDocs(List<RankDoc> found) {
        RankDoc[] sorted = found.toArray(RankDoc[]::new);
        Arrays.sort(sorted, Comparator.comparingInt(RankDoc::doc));
        docs = new int[sorted.length];
        scores = new float[sorted.length];
        hits = new FusedHit[sorted.length];
        float max = 0;
        for (int i = 0; i < sorted.length; i++) {
            docs[i] = sorted[i].doc();
            hits[i] = sorted[i].hit();
            scores[i] = hits[i].score();
            max = Math.max(max, scores[i]);
        }
        maxScore = max;
    }

    private FusedDocs(int[] docs, float[] scores, FusedHit[] hits, float maxScore) {
        this.docs = docs;
        this.scores = scores;
        this.hits = hits;
        this.maxScore = maxScore;
    }

    /** The documents that one leg found, with its raw scores. */
    FusedDocs ofLeg(int leg) {
        int[] chosen = new int[docs.length];
        int count = 0;
        for (int i = 0; i < docs.length; i++) {
            if (hits[i].legs()[leg] != null) {
                chosen[count++] = i;
            }
        }
        int[] legDocs = new int[count];
        float[] legScores = new float[count];
        FusedHit[] legHits = new FusedHit[count];
        float max = 0;
        for (int i = 0; i < count; i++) {
            legDocs[i] = docs[chosen[i]];
            legHits[i] = hits[chosen[i]];
            legScores[i] = legHits[i].legs()[leg].raw();
            max = Math.max(max, legScores[i]);
        }
        return new FusedDocs(legDocs, legScores, legHits, max);
    }

    int size() {
        return docs.length;
    }

    int doc(int position) {
        return docs[position];
    }

    float score(int position) {
        return scores[position];
    }

    float maxScore() {
        return maxScore;
    }

    /** The first position at or after a document. */
    int position(int doc) {
        int found = Arrays.binarySearch(docs, doc);
        return found < 0 ? -found - 1 : found;
    }

    /** The hit that a document is, or null. */
    FusedHit hit(int doc) {
        int found = Arrays.binarySearch(docs, doc);
        return found < 0 ? null : hits[found];
    }
}
