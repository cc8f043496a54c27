package org.mmsearch;

import org.opensearch.action.search.SearchResponse;
import org.opensearch.common.util.concurrent.ThreadContext;

/** The search that a thread works for, as those know it that search for it beforehand. */
public interface RunningSearch {

    /** What the thread context keeps it under. */
    String KEY = "mmsearch.notes";

    /** None: a query that is rewritten outside a search, as by {@code _explain}, has no deadline and no answer with shards. */
    RunningSearch NONE = new RunningSearch() {
        @Override
        public Deadline deadline() {
            return Deadline.NONE;
        }

        @Override
        public void beside(SearchResponse answer) {}
    };

    /** @return when the search ends */
    Deadline deadline();

    /**
     * Lets the answer of the search tell what that of another one lacks, which was run for it on the same shards.
     *
     * @param answer of the other one
     */
    void beside(SearchResponse answer);

    /** @return the one that this thread works for, or {@link #NONE} */
    static RunningSearch of(ThreadContext context) {
        RunningSearch search = context.getTransient(KEY);
        return search == null ? NONE : search;
    }
}
