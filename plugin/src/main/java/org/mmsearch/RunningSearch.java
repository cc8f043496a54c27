package org.mmsearch;

import org.opensearch.action.search.SearchResponse;
import org.opensearch.common.util.concurrent.ThreadContext;

/** The current thread's search, for code that runs other searches before it. */
public interface RunningSearch {

    /** The key in the thread context. */
    String KEY = "mmsearch.notes";

    /** Used outside a search, for example by {@code _explain}: no deadline, and no response that lists shards. */
    RunningSearch NONE = new RunningSearch() {
        @Override
        public Deadline deadline() {
            return Deadline.NONE;
        }

        @Override
        public void beside(SearchResponse answer) {}
    };

    /** Returns the deadline of the search. */
    Deadline deadline();

    /**
     * Adds the shard failures and the timeout of another search, which ran for this one on the same shards, to the response of this search.
     *
     * @param answer the response of the other search
     */
    void beside(SearchResponse answer);

    /** Returns the current thread's search, or {@link #NONE}. */
    static RunningSearch of(ThreadContext context) {
        RunningSearch search = context.getTransient(KEY);
        return search == null ? NONE : search;
    }
}
