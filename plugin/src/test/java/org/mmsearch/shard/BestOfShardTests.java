package org.mmsearch.shard;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

import org.apache.lucene.document.Document;
import org.apache.lucene.document.Field;
import org.apache.lucene.document.NumericDocValuesField;
import org.apache.lucene.document.StringField;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.index.NoMergePolicy;
import org.apache.lucene.index.NumericDocValues;
import org.apache.lucene.index.Term;
import org.apache.lucene.search.BooleanClause.Occur;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.BoostQuery;
import org.apache.lucene.search.Explanation;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.ScoreMode;
import org.apache.lucene.search.ScorerSupplier;
import org.apache.lucene.search.TermQuery;
import org.apache.lucene.search.Weight;
import org.apache.lucene.store.ByteBuffersDirectory;
import org.apache.lucene.store.Directory;
import org.opensearch.test.OpenSearchTestCase;

/** Tests that a query with k hits per segment, as faiss has them, returns the same hits for all segmentations. */
public class BestOfShardTests extends OpenSearchTestCase {

    private static final int DOCUMENTS = 60;
    private static final int K = 5;

    private final List<AutoCloseable> open = new ArrayList<>();

    @Override
    public void tearDown() throws Exception {
        for (AutoCloseable each : open.reversed()) {
            each.close();
        }
        super.tearDown();
    }

    /** Documents with distances 0, 7, 14, … modulo their number, in segments of the given size; some are deleted. */
    private IndexSearcher searcher(int segment) throws IOException {
        Directory directory = new ByteBuffersDirectory();
        open.add(directory);
        try (IndexWriter writer = new IndexWriter(directory, new IndexWriterConfig().setMergePolicy(NoMergePolicy.INSTANCE))) {
            for (int i = 0; i < DOCUMENTS; i++) {
                Document document = new Document();
                document.add(new StringField("id", Integer.toString(i), Field.Store.NO));
                document.add(new NumericDocValuesField("distance", i * 7 % DOCUMENTS));
                writer.addDocument(document);
                if (i % segment == segment - 1) {
                    writer.commit();
                }
            }
            writer.commit();
            writer.deleteDocuments(new Term("id", "0"));
        }
        DirectoryReader reader = DirectoryReader.open(directory);
        open.add(reader);
        assertEquals((DOCUMENTS + segment - 1) / segment, reader.leaves().size());
        return new IndexSearcher(reader);
    }

    /** The k nearest documents of each segment that are not deleted. */
    private static final class NearestOfSegment extends ForTests {
        @Override
        public Weight createWeight(IndexSearcher searcher, ScoreMode mode, float boost) {
            return new Weight(this) {
                @Override
                public ScorerSupplier scorerSupplier(LeafReaderContext leaf) throws IOException {
                    List<ScoreDoc> near = new ArrayList<>();
                    NumericDocValues distances = leaf.reader().getNumericDocValues("distance");
                    for (int doc = 0; doc < leaf.reader().maxDoc(); doc++) {
                        assertTrue(distances.advanceExact(doc));
                        if (leaf.reader().getLiveDocs() == null || leaf.reader().getLiveDocs().get(doc)) {
                            near.add(new ScoreDoc(leaf.docBase + doc, 1f / (1 + distances.longValue())));
                        }
                    }
                    near.sort(Comparator.comparingDouble(hit -> -hit.score));
                    List<ScoreDoc> nearest = near.subList(0, Math.min(K, near.size()));
                    nearest.sort(Comparator.comparingInt(hit -> hit.doc));
                    float[] scores = new float[nearest.size()];
                    for (int i = 0; i < scores.length; i++) {
                        scores[i] = nearest.get(i).score;
                    }
                    return new ScoredDocs(nearest.stream().mapToInt(hit -> hit.doc).toArray(), scores).in(leaf, boost);
                }

                @Override
                public Explanation explain(LeafReaderContext leaf, int doc) {
                    return Explanation.match(1, "near in its segment");
                }

                @Override
                public boolean isCacheable(LeafReaderContext leaf) {
                    return true;
                }
            };
        }
    }

    private static List<String> found(IndexSearcher searcher, Query query) throws IOException {
        return Arrays.stream(searcher.search(query, DOCUMENTS).scoreDocs).map(hit -> hit.doc + " " + hit.score).toList();
    }

    public void testTheSameHitsWhateverTheSegments() throws IOException {
        List<String> one = found(searcher(DOCUMENTS), new NearestOfSegment());
        assertEquals(K, one.size());
        for (int segment : new int[] { 2, 3, 7, 25, 59, DOCUMENTS }) {
            IndexSearcher searcher = searcher(segment);
            int each = searcher.getLeafContexts().stream().mapToInt(leaf -> Math.min(K, leaf.reader().numDocs())).sum();
            assertEquals(each, found(searcher, new NearestOfSegment()).size());
            Query best = BestOfShard.of(searcher, new NearestOfSegment(), K);
            assertEquals(one, found(searcher, best));
            assertEquals(K, searcher.count(best));
        }
    }

    public void testBoostsFiltersAndExplanations() throws IOException {
        IndexSearcher searcher = searcher(7);
        Query best = BestOfShard.of(searcher, new NearestOfSegment(), K);
        List<ScoreDoc> plain = List.of(searcher.search(best, K).scoreDocs);
        List<ScoreDoc> boosted = List.of(searcher.search(new BoostQuery(best, 2), K).scoreDocs);
        for (int i = 0; i < K; i++) {
            assertEquals(plain.get(i).doc, boosted.get(i).doc);
            assertEquals(2 * plain.get(i).score, boosted.get(i).score, 0);
            Explanation why = searcher.explain(new BoostQuery(best, 2), plain.get(i).doc);
            assertEquals(boosted.get(i).score, why.getValue());
            assertTrue(why.toString(), why.toString().contains("near in its segment"));
        }
        int hit = plain.get(2).doc;
        Query its = new TermQuery(new Term("id", Integer.toString(hit)));
        BooleanQuery both = new BooleanQuery.Builder().add(best, Occur.MUST).add(its, Occur.FILTER).build();
        assertEquals(List.of(hit + " " + plain.get(2).score), found(searcher, both));
        // Among the best of its segment, but not of the shard.
        int other = searcher.search(new NearestOfSegment(), DOCUMENTS).scoreDocs[K].doc;
        assertFalse(searcher.explain(best, other).isMatch());
    }

    public void testFewerThanAreAskedFor() throws IOException {
        IndexSearcher searcher = searcher(7);
        assertEquals(found(searcher, new NearestOfSegment()), found(searcher, BestOfShard.of(searcher, new NearestOfSegment(), 10_000)));
    }
}
