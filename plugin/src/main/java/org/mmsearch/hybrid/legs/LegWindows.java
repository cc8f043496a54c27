package org.mmsearch.hybrid.legs;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.TopDocs;
import org.apache.lucene.search.TotalHits;
import org.mmsearch.fusion.ScoreRange;
import org.opensearch.common.lucene.Lucene;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.common.io.stream.Writeable;

/**
 * The window of each leg on one shard, with document numbers of the reader that found the hits.
 *
 * @param reader the {@link ReaderToken} of that reader
 * @param legs the hits of each leg in descending order of score
 * @param ranges the range of the scores of each leg on the shard; empty if the fusion does not use them
 */
public record LegWindows(long reader, List<ScoreDoc[]> legs, List<ScoreRange> ranges) implements Writeable {

    /** The score that marks a header. No query scores NaN. */
    private static final float HEADER = Float.NaN;
    /** Version of the form of {@link #topDocs}. Other versions are rejected. */
    private static final int VERSION = 1;
    /** Of the form with ranges. */
    private static final int RANGED = 2;
    private static final int HEADERS = 4;

    /** Creates windows without ranges. */
    public LegWindows(long reader, List<ScoreDoc[]> legs) {
        this(reader, legs, List.of());
    }

    /** Returns the range of a leg's scores, or {@link ScoreRange#NONE}. */
    public ScoreRange range(int leg) {
        return ranges.isEmpty() ? ScoreRange.NONE : ranges.get(leg);
    }

    /** Reads what {@link #writeTo} wrote. */
    public static LegWindows read(StreamInput in) throws IOException {
        return of(Lucene.readTopDocs(in).topDocs);
    }

    @Override
    public void writeTo(StreamOutput out) throws IOException {
        Lucene.writeTopDocs(out, new org.opensearch.common.lucene.search.TopDocsAndMaxScore(topDocs(), Float.NaN));
    }

    /**
     * Returns the windows encoded as a shard's top documents: four headers (version, two halves of the reader token, number of legs), then
     * for each leg a header with its length and its hits, and if there are ranges, two headers per leg with the bits of its ends.
     */
    public TopDocs topDocs() {
        List<ScoreDoc> all = new ArrayList<>(HEADERS + legs.size() + legs.stream().mapToInt(leg -> leg.length).sum());
        all.add(header(ranges.isEmpty() ? VERSION : RANGED));
        all.add(header((int) (reader >>> Integer.SIZE)));
        all.add(header((int) reader));
        all.add(header(legs.size()));
        for (ScoreDoc[] leg : legs) {
            all.add(header(leg.length));
            for (ScoreDoc hit : leg) {
                // Only this class can be serialized. Copies of all hits would use heap that is not reserved.
                all.add(hit.getClass() == ScoreDoc.class ? hit : new ScoreDoc(hit.doc, hit.score));
            }
        }
        for (ScoreRange range : ranges) {
            all.add(header(Float.floatToIntBits(range.low())));
            all.add(header(Float.floatToIntBits(range.high())));
        }
        return new TopDocs(new TotalHits(0, TotalHits.Relation.EQUAL_TO), all.toArray(ScoreDoc[]::new));
    }

    private static ScoreDoc header(int value) {
        return new ScoreDoc(value, HEADER);
    }

    private static boolean are(TopDocs docs) {
        return docs.scoreDocs.length >= HEADERS && Float.isNaN(docs.scoreDocs[0].score);
    }

    /**
     * Decodes windows from top documents.
     *
     * @throws IllegalStateException if they have another form
     */
    public static LegWindows of(TopDocs docs) {
        ScoreDoc[] all = docs.scoreDocs;
        if (are(docs) == false || all[0].doc != VERSION && all[0].doc != RANGED) {
            throw new IllegalStateException(
                "expected the windows of a hybrid's legs in form " + VERSION + " or " + RANGED + ", got "
                    + (are(docs) ? "form " + all[0].doc : all.length + " other documents") + ": run one version of mmsearch on all nodes"
            );
        }
        long reader = ((long) all[1].doc << Integer.SIZE) | (all[2].doc & 0xFFFFFFFFL);
        List<ScoreDoc[]> legs = new ArrayList<>(all[3].doc);
        int at = HEADERS;
        for (int leg = 0; leg < all[3].doc; leg++) {
            ScoreDoc[] hits = new ScoreDoc[all[at++].doc];
            System.arraycopy(all, at, hits, 0, hits.length);
            at += hits.length;
            legs.add(hits);
        }
        List<ScoreRange> ranges = new ArrayList<>();
        for (; all[0].doc == RANGED && ranges.size() < legs.size(); at += 2) {
            ranges.add(new ScoreRange(Float.intBitsToFloat(all[at].doc), Float.intBitsToFloat(all[at + 1].doc)));
        }
        return new LegWindows(reader, legs, ranges);
    }
}
