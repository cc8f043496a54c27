package org.mmsearch.shard;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicInteger;

import org.apache.lucene.document.Document;
import org.apache.lucene.document.Field;
import org.apache.lucene.document.FloatDocValuesField;
import org.apache.lucene.document.StringField;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.index.NoMergePolicy;
import org.apache.lucene.index.Term;
import org.apache.lucene.queries.function.FunctionScoreQuery;
import org.apache.lucene.search.DoubleValuesSource;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.IndexSearcher.LeafReaderContextPartition;
import org.apache.lucene.search.IndexSearcher.LeafSlice;
import org.apache.lucene.search.MatchNoDocsQuery;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.store.ByteBuffersDirectory;
import org.apache.lucene.store.Directory;
import org.opensearch.common.lucene.search.Queries;
import org.opensearch.search.query.QueryPhase;
import org.opensearch.test.OpenSearchTestCase;
import org.opensearch.threadpool.TestThreadPool;
import org.opensearch.threadpool.ThreadPool;

/** Tests that the top hits do not depend on the slices, including slices with parts of segments. */
public class TopHitsTests extends OpenSearchTestCase {

    private static final int DOCUMENTS = 200;
    private static final Query BY_PRICE = new FunctionScoreQuery(Queries.newMatchAllQuery(), DoubleValuesSource.fromFloatField("price"));

    private Directory directory;
    private DirectoryReader reader;
    private ThreadPool pool;

    @Override
    public void setUp() throws Exception {
        super.setUp();
        pool = new TestThreadPool(getTestName());
        directory = new ByteBuffersDirectory();
        try (IndexWriter writer = new IndexWriter(directory, new IndexWriterConfig().setMergePolicy(NoMergePolicy.INSTANCE))) {
            for (int i = 0; i < DOCUMENTS; i++) {
                Document document = new Document();
                document.add(new StringField("id", Integer.toString(i), Field.Store.NO));
                // Few prices, so that many documents have equal scores.
                document.add(new FloatDocValuesField("price", randomIntBetween(1, 6)));
                writer.addDocument(document);
                if (randomInt(20) == 0) {
                    writer.commit();
                }
            }
            for (int i = 0; i < 20; i++) {
                writer.deleteDocuments(new Term("id", Integer.toString(randomInt(DOCUMENTS - 1))));
            }
        }
        reader = DirectoryReader.open(directory);
    }

    @Override
    public void tearDown() throws Exception {
        terminate(pool);
        reader.close();
        directory.close();
        super.tearDown();
    }

    /** A searcher of random slices: whole segments and halves of them. */
    private IndexSearcher sliced(Executor executor) {
        return new IndexSearcher(reader, executor) {
            @Override
            protected LeafSlice[] slices(List<LeafReaderContext> leaves) {
                List<List<LeafReaderContextPartition>> parts = new ArrayList<>();
                for (LeafReaderContext leaf : leaves) {
                    int size = leaf.reader().maxDoc();
                    if (randomBoolean() || size < 2) {
                        parts.add(new ArrayList<>(List.of(LeafReaderContextPartition.createForEntireSegment(leaf))));
                    } else {
                        int middle = randomIntBetween(1, size - 1);
                        parts.add(new ArrayList<>(List.of(LeafReaderContextPartition.createFromAndTo(leaf, 0, middle))));
                        parts.add(new ArrayList<>(List.of(LeafReaderContextPartition.createFromAndTo(leaf, middle, size))));
                    }
                }
                return parts.stream().map(LeafSlice::new).toArray(LeafSlice[]::new);
            }
        };
    }

    private static List<String> found(IndexSearcher searcher, Query query, int window) throws IOException {
        ScoreDoc[] hits = TopHits.of(searcher, TopHits.slices(searcher), query, window, () -> false, () -> fail("no deadline was set"));
        return Arrays.stream(hits).map(hit -> hit.doc + " " + hit.score).toList();
    }

    public void testTheSameHitsInTheSameOrder() throws IOException {
        IndexSearcher plain = new IndexSearcher(reader);
        assertTrue(TopHits.slices(plain).length <= 1);
        for (int round = 0; round < 20; round++) {
            IndexSearcher sliced = sliced(pool.executor(ThreadPool.Names.INDEX_SEARCHER));
            for (int window : new int[] { 1, 2, 10, 50, DOCUMENTS, 10_000 }) {
                for (Query query : List.of(BY_PRICE, Queries.newMatchAllQuery(), new MatchNoDocsQuery("none"))) {
                    assertEquals(found(plain, query, window), found(sliced, query, window));
                }
            }
        }
    }

    public void testADeadlineInASliceKeepsTheHitsFound() throws IOException {
        IndexSearcher sliced = sliced(pool.executor(ThreadPool.Names.INDEX_SEARCHER));
        AtomicInteger late = new AtomicInteger();
        AtomicInteger looks = new AtomicInteger();
        ScoreDoc[] hits = TopHits.of(
            sliced,
            TopHits.slices(sliced),
            BY_PRICE,
            DOCUMENTS,
            () -> looks.incrementAndGet() > 3,
            late::incrementAndGet
        );
        assertTrue(late.get() > 0 || sliced.getSlices().length < 2);
        List<String> all = found(new IndexSearcher(reader), BY_PRICE, DOCUMENTS);
        assertTrue(all.containsAll(Arrays.stream(hits).map(hit -> hit.doc + " " + hit.score).toList()));
    }

    public void testADeadlineBeforeTheFirstHit() throws IOException {
        IndexSearcher sliced = sliced(pool.executor(ThreadPool.Names.INDEX_SEARCHER));
        AtomicInteger late = new AtomicInteger();
        assertEquals(0, TopHits.of(sliced, TopHits.slices(sliced), BY_PRICE, 10, () -> true, late::incrementAndGet).length);
        assertTrue(late.get() > 0);
        late.set(0);
        Query slow = new Failing(new QueryPhase.TimeExceededException());
        assertEquals(0, TopHits.of(sliced, TopHits.slices(sliced), slow, 10, () -> false, late::incrementAndGet).length);
        assertEquals(1, late.get());
    }

    public void testExceptionsOfASliceArePropagated() {
        IndexSearcher sliced = sliced(pool.executor(ThreadPool.Names.INDEX_SEARCHER));
        IllegalArgumentException thrown = expectThrows(
            IllegalArgumentException.class,
            () -> TopHits.of(sliced, TopHits.slices(sliced), BY_PRICE, 10, () -> { throw new IllegalArgumentException("ended"); }, () -> {})
        );
        assertEquals("ended", thrown.getMessage());
    }

    public void testRejectedTasksRunInTheCallingThread() throws IOException {
        List<String> expected = found(new IndexSearcher(reader), BY_PRICE, 10);
        IndexSearcher sliced = sliced(pool.executor(ThreadPool.Names.INDEX_SEARCHER));
        terminate(pool);
        assertEquals(expected, found(sliced, BY_PRICE, 10));
    }

    public void testAnEmptyShard() throws IOException {
        try (Directory empty = new ByteBuffersDirectory()) {
            new IndexWriter(empty, new IndexWriterConfig()).close();
            try (DirectoryReader none = DirectoryReader.open(empty)) {
                assertEquals(List.of(), found(new IndexSearcher(none), BY_PRICE, 10));
            }
        }
    }

    /** Fails when its weight is created. */
    private static final class Failing extends ForTests {
        private final RuntimeException failure;

        Failing(RuntimeException failure) {
            this.failure = failure;
        }

        @Override
        public Query rewrite(IndexSearcher searcher) {
            throw failure;
        }
    }
}
