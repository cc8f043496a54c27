package org.mmsearch.hybrid.legs;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

import org.apache.lucene.document.Document;
import org.apache.lucene.document.Field;
import org.apache.lucene.document.StringField;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.Term;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.QueryVisitor;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.TermQuery;
import org.apache.lucene.store.ByteBuffersDirectory;
import org.apache.lucene.store.Directory;
import org.mmsearch.memory.MemoryBreaker;
import org.opensearch.common.settings.ClusterSettings;
import org.opensearch.common.settings.Settings;
import org.opensearch.test.OpenSearchTestCase;
import org.opensearch.threadpool.TestThreadPool;
import org.opensearch.threadpool.ThreadPool;

/** Tests that concurrent and sequential legs return the same hits, and that threads wait only if intended. */
public class LegSearchesTests extends OpenSearchTestCase {

    private static final int DOCUMENTS = 6;

    private Directory directory;
    private DirectoryReader reader;
    private IndexSearcher searcher;
    private ThreadPool pool;

    @Override
    public void setUp() throws Exception {
        super.setUp();
        directory = new ByteBuffersDirectory();
        try (IndexWriter writer = new IndexWriter(directory, new IndexWriterConfig())) {
            for (int i = 0; i < DOCUMENTS; i++) {
                Document document = new Document();
                document.add(new StringField("kind", i % 2 == 0 ? "even" : "odd", Field.Store.NO));
                writer.addDocument(document);
            }
        }
        reader = DirectoryReader.open(directory);
        searcher = new IndexSearcher(reader);
        pool = new TestThreadPool(getTestName());
    }

    @Override
    public void tearDown() throws Exception {
        terminate(pool);
        reader.close();
        directory.close();
        super.tearDown();
    }

    private LegSearches from(int documents) {
        LegSearches searches = new LegSearches(new MemoryBreaker());
        ClusterSettings settings = new ClusterSettings(Settings.EMPTY, Set.of(LegSearches.FROM));
        searches.open(settings, pool.executor(ThreadPool.Names.INDEX_SEARCHER));
        settings.applySettings(Settings.builder().put(LegSearches.FROM.getKey(), documents).build());
        return searches;
    }

    private static Query kind(String kind) {
        return new TermQuery(new Term("kind", kind));
    }

    private List<List<Integer>> documents(LegSearches searches, Query... legs) throws IOException {
        List<List<Integer>> found = new ArrayList<>();
        for (ScoreDoc[] hits : searches.top(searcher, List.of(legs), 10, () -> false, () -> fail("no deadline was set"))) {
            List<Integer> ids = new ArrayList<>();
            for (ScoreDoc hit : hits) {
                ids.add(hit.doc);
            }
            found.add(ids);
        }
        return found;
    }

    public void testEachLegsHitsInTheLegsOrder() throws IOException {
        List<List<Integer>> expected = List.of(List.of(0, 2, 4), List.of(1, 3, 5), List.of(), List.of(0, 2, 4));
        Query[] legs = { kind("even"), kind("odd"), kind("neither"), kind("even") };
        assertEquals(expected, documents(new LegSearches(new MemoryBreaker()), legs));
        assertEquals(expected, documents(from(0), legs));
        assertEquals(expected, documents(from(DOCUMENTS + 1), legs));
    }

    /** A leg that runs an action before it is searched. */
    private static final class Preceded extends Query {

        private final Query leg;
        private final Runnable first;

        Preceded(Query leg, Runnable first) {
            this.leg = leg;
            this.first = first;
        }

        @Override
        public Query rewrite(IndexSearcher searcher) {
            first.run();
            return leg;
        }

        @Override
        public void visit(QueryVisitor visitor) {
            visitor.visitLeaf(this);
        }

        @Override
        public boolean equals(Object other) {
            return this == other;
        }

        @Override
        public int hashCode() {
            return System.identityHashCode(this);
        }

        @Override
        public String toString(String field) {
            return "preceded " + leg;
        }
    }

    /** Each leg waits for the other, so sequential legs would never finish. */
    public void testOnLargeShardsTheyRunConcurrently() throws IOException {
        CyclicBarrier barrier = new CyclicBarrier(2);
        Runnable meet = () -> {
            try {
                barrier.await(30, TimeUnit.SECONDS);
            } catch (InterruptedException | BrokenBarrierException | TimeoutException e) {
                throw new IllegalStateException("the other leg did not come", e);
            }
        };
        List<List<Integer>> found = documents(from(DOCUMENTS), new Preceded(kind("even"), meet), new Preceded(kind("odd"), meet));
        assertEquals(List.of(List.of(0, 2, 4), List.of(1, 3, 5)), found);
    }

    public void testOnSmallShardsTheyRunInTheCallingThread() throws IOException {
        Thread asker = Thread.currentThread();
        Query here = new Preceded(kind("even"), () -> assertSame(asker, Thread.currentThread()));
        List<List<Integer>> found = documents(from(DOCUMENTS + 1), here, here, here);
        assertEquals(3, found.size());
        assertEquals(List.of(0, 2, 4), found.get(2));
    }

    public void testRejectedTasksRunInTheCallingThread() throws IOException {
        LegSearches searches = from(0);
        terminate(pool);
        assertEquals(List.of(List.of(0, 2, 4), List.of(1, 3, 5)), documents(searches, kind("even"), kind("odd")));
    }

    public void testExceptionsOfALegArePropagated() {
        LegSearches searches = from(0);
        IllegalArgumentException thrown = expectThrows(
            IllegalArgumentException.class,
            () -> searches.top(searcher, List.of(kind("even"), kind("odd")), 10, () -> { throw new IllegalArgumentException("ended"); }, () -> {})
        );
        assertEquals("ended", thrown.getMessage());
    }
}
