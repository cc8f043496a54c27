package org.mmsearch.hybrid;

import java.io.IOException;
import java.util.List;

import org.apache.lucene.document.Document;
import org.apache.lucene.document.LongPoint;
import org.apache.lucene.document.NumericDocValuesField;
import org.apache.lucene.document.StringField;
import org.apache.lucene.document.Field.Store;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.NoMergePolicy;
import org.apache.lucene.index.Term;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.TopDocs;
import org.apache.lucene.store.Directory;
import org.mmsearch.fusion.Cutoff;
import org.mmsearch.fusion.FusedHit;
import org.mmsearch.fusion.Fusion;
import org.mmsearch.fusion.LegScore;
import org.opensearch.test.OpenSearchTestCase;

/** Winners are found where they were, where they have moved to, and counted when they are gone. */
public class WinnersQueryTests extends OpenSearchTestCase {

    private static final Legs LEGS = new Legs(List.of("0"), List.of(), Fusion.DEFAULT.window(10), Cutoff.NONE, Totals.WINDOW, true);

    private final HybridStats stats = new HybridStats();

    /** Three segments of two documents, of which document 2 is a nested child that has its parent's sequence number, 13. */
    private static void write(IndexWriter writer) throws IOException {
        for (long seqNo : new long[] { 10, 11, 13, 13, 14, 15 }) {
            Document document = new Document();
            document.add(new LongPoint("_seq_no", seqNo));
            document.add(new NumericDocValuesField("_seq_no", seqNo));
            boolean child = seqNo == 13 && writer.getDocStats().numDocs == 2;
            document.add(new StringField("id", (child ? "child" : "") + seqNo, Store.NO));
            if (child == false) {
                document.add(new NumericDocValuesField("_primary_term", 1));
            }
            writer.addDocument(document);
            if (writer.getDocStats().numDocs % 2 == 0) {
                writer.flush();
            }
        }
    }

    private static Winner winner(long seqNo, int hint, float score) {
        return new Winner(0, seqNo, hint, new FusedHit(hint, score, new LegScore[] { new LegScore(1, score, score) }));
    }

    private void assertFound(List<Winner> winners, String deleted, int[] docs, float[] scores, long lost) throws IOException {
        try (Directory directory = newDirectory()) {
            IndexWriterConfig config = new IndexWriterConfig().setMergePolicy(NoMergePolicy.INSTANCE);
            try (IndexWriter writer = new IndexWriter(directory, config)) {
                write(writer);
                if (deleted != null) {
                    writer.deleteDocuments(new Term("id", deleted));
                }
            }
            try (DirectoryReader reader = DirectoryReader.open(directory)) {
                TopDocs top = new IndexSearcher(reader).search(new WinnersQuery(List.of(), LEGS, winners, stats), 10);
                assertEquals(docs.length, top.scoreDocs.length);
                for (int i = 0; i < docs.length; i++) {
                    assertEquals(docs[i], top.scoreDocs[i].doc);
                    assertEquals(scores[i], top.scoreDocs[i].score, 0f);
                }
            }
        }
        assertEquals(lost, stats.asMap().get("handles_lost"));
    }

    public void testWhereTheyWere() throws IOException {
        assertFound(List.of(winner(15, 5, 3), winner(10, 0, 2), winner(13, 3, 1)), null, new int[] { 5, 0, 3 }, new float[] { 3, 2, 1 }, 0);
    }

    public void testWhereTheyHaveMovedTo() throws IOException {
        assertFound(List.of(winner(15, 0, 3), winner(10, 99, 2), winner(14, 1, 1)), null, new int[] { 5, 0, 4 }, new float[] { 3, 2, 1 }, 0);
    }

    public void testANestedChildIsNotItsParent() throws IOException {
        assertFound(List.of(winner(13, 2, 1)), null, new int[] { 3 }, new float[] { 1 }, 0);
    }

    public void testThoseThatAreGoneAreCounted() throws IOException {
        assertFound(List.of(winner(14, 4, 3), winner(10, 0, 2), winner(77, 1, 1)), "14", new int[] { 0 }, new float[] { 2 }, 2);
    }
}
