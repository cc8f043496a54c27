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
import org.opensearch.search.internal.SearchContext;

/**
 * Runs the legs of a hybrid on one shard. On large shards the legs run concurrently, so the search waits for its slowest leg only. On small
 * shards they run one after the other, because a thread switch would cost as much as a leg. Each leg uses the slices of the search.
 */
public final class LegSearches {

    /** The number of documents in a shard from which its legs run concurrently; 0 for always. */
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

    /** @param memory the circuit breaker for the heap of hit lists */
    public LegSearches(MemoryBreaker memory) {
        this.memory = memory;
    }

    /** Sets the executor, whose threads search the slices of shards. */
    public void open(ClusterSettings settings, Executor searchers) {
        from = settings.get(FROM);
        settings.addSettingsUpdateConsumer(FROM, documents -> from = documents);
        threads = new TaskExecutor(orNot(searchers));
    }

    /** Ignores rejections. Rejection is not an error: the calling thread runs the tasks that no other thread has started. */
    private static Executor orNot(Executor executor) {
        return task -> {
            try {
                executor.execute(task);
            } catch (RejectedExecutionException e) {
                // The queue is full; the calling thread runs the task.
            }
        };
    }

    /**
     * Returns the top hits of each leg, in the order of the legs.
     *
     * @param searcher the searcher of the shard
     * @param legs the legs as Lucene queries of this shard
     * @param window the maximum number of hits per leg
     * @param overdue whether the search's deadline has passed; called regularly by any thread, may throw to end the search
     * @param late called by any thread when the deadline has ended a leg
     */
    public List<ScoreDoc[]> top(IndexSearcher searcher, List<Query> legs, int window, BooleanSupplier overdue, Runnable late)
        throws IOException {
        LeafSlice[] slices = TopHits.slices(searcher);
        SearchContext search = SearchContexts.of(searcher);
        Releasable found = reserve(searcher, legs, window, 1);
        if (search != null) {
            // The hits become part of the shard's result, so their heap stays reserved until the search ends.
            search.addReleasable(found);
        }
        try {
            // Each slice has its own hits until they are merged.
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
        if (many == null || legs.size() < 2 || searcher.getIndexReader().maxDoc() < from || SearchContexts.profiled(searcher)) {
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
}
