package org.mmsearch.hybrid.legs;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.function.BooleanSupplier;

import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.IndexSearcher.LeafSlice;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.TaskExecutor;
import org.mmsearch.memory.HybridMemory;
import org.mmsearch.memory.MemoryBreaker;
import org.mmsearch.shard.SearchContexts;
import org.mmsearch.shard.TopHits;
import org.opensearch.common.lease.Releasable;
import org.opensearch.common.settings.ClusterSettings;
import org.opensearch.common.settings.Setting;
import org.opensearch.common.settings.Setting.Property;
import org.opensearch.common.settings.Settings;
import org.opensearch.search.internal.ContextIndexSearcher;
import org.opensearch.search.internal.SearchContext;

/**
 * Runs the legs of a hybrid on one shard: at the same time where the shard is large, so that a search waits for its slowest leg
 * and not for the sum of all; one after the other where a hop between threads would cost about what a leg does. Each leg runs in the slices
 * of its search.
 */
public final class LegSearches {

    /** From how many documents in a shard its legs run at the same time; 0 for always. */
    public static final Setting<Integer> FROM = Setting.intSetting(
        "mmsearch.hybrid.legs_at_once_from",
        100_000,
        0,
        Property.NodeScope,
        Property.Dynamic
    );

    private final MemoryBreaker memory;
    private volatile int from = FROM.getDefault(Settings.EMPTY);
    private volatile TaskExecutor threads;

    /** @param memory what the hits take their heap from */
    public LegSearches(MemoryBreaker memory) {
        this.memory = memory;
    }

    /** Gives it the threads that search the slices of shards. */
    public void open(ClusterSettings settings, Executor searchers) {
        from = settings.get(FROM);
        settings.addSettingsUpdateConsumer(FROM, documents -> from = documents);
        threads = new TaskExecutor(orNot(searchers));
    }

    /** A thread that is not to be had is no failure: whoever asks for the legs runs those that no other thread has begun. */
    private static Executor orNot(Executor executor) {
        return task -> {
            try {
                executor.execute(task);
            } catch (RejectedExecutionException e) {
                // The queue is full.
            }
        };
    }

    /**
     * @param searcher of the shard
     * @param legs as queries of this shard
     * @param window how many hits of each
     * @param overdue asked now and then, by any thread: whether the search's deadline has passed; may throw to end the search
     * @param late told, by any thread, when the deadline has ended a leg
     * @return each leg's best hits, in the legs' order
     */
    public List<ScoreDoc[]> top(IndexSearcher searcher, List<Query> legs, int window, BooleanSupplier overdue, Runnable late)
        throws IOException {
        LeafSlice[] slices = TopHits.slices(searcher);
        SearchContext search = SearchContexts.of(searcher);
        Releasable found = reserve(searcher, legs, window, 1);
        if (search != null) {
            // The hits go into what the search answers.
            search.addReleasable(found);
        }
        try {
            // Until they are merged, each slice has hits of its own.
            Releasable more = slices.length < 2 ? () -> {} : reserve(searcher, legs, window, slices.length - 1);
            try {
                return run(searcher, slices, legs, window, overdue, late);
            } finally {
                more.close();
            }
        } finally {
            if (search == null) {
                found.close();
            }
        }
    }

    private Releasable reserve(IndexSearcher searcher, List<Query> legs, int window, int times) {
        int hits = Math.min(window, searcher.getIndexReader().maxDoc());
        return memory.reserve(HybridMemory.windows(legs.size(), hits, times), "the hits of a hybrid's legs");
    }

    private List<ScoreDoc[]> run(
        IndexSearcher searcher,
        LeafSlice[] slices,
        List<Query> legs,
        int window,
        BooleanSupplier overdue,
        Runnable late
    ) throws IOException {
        TaskExecutor many = threads;
        if (many == null || legs.size() < 2 || searcher.getIndexReader().maxDoc() < from || profiled(searcher)) {
            List<ScoreDoc[]> found = new ArrayList<>(legs.size());
            for (Query leg : legs) {
                found.add(TopHits.of(searcher, slices, leg, window, overdue, late));
            }
            return found;
        }
        List<Callable<ScoreDoc[]>> tasks = new ArrayList<>(legs.size());
        for (Query leg : legs) {
            tasks.add(() -> TopHits.of(searcher, slices, leg, window, overdue, late));
        }
        return many.invokeAll(tasks);
    }

    /** A profile is kept by one thread. */
    private static boolean profiled(IndexSearcher searcher) {
        return searcher instanceof ContextIndexSearcher shard && shard.getProfiler() != null;
    }
}
