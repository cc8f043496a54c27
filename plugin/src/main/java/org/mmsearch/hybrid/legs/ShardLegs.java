package org.mmsearch.hybrid.legs;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

import org.apache.lucene.search.Query;
import org.apache.lucene.search.ScoreDoc;
import org.mmsearch.visibility.OuterFilter;
import org.opensearch.common.unit.TimeValue;
import org.opensearch.core.tasks.TaskCancelledException;
import org.opensearch.search.SearchService;
import org.opensearch.search.internal.SearchContext;

/** The legs of a hybrid in a shard search that only collects their windows. */
public final class ShardLegs {

    private final LegSearches searches;
    private final SearchContext context;
    private final List<Query> legs;
    private final int window;
    private final boolean ranges;
    private final long begin;

    /**
     * @param searches the executor of legs
     * @param context the search context on this shard
     * @param legs the legs as Lucene queries of this shard
     * @param window the maximum number of hits per leg
     * @param ranges whether the ranges of scores are needed
     */
    public ShardLegs(LegSearches searches, SearchContext context, List<Query> legs, int window, boolean ranges) {
        this.searches = searches;
        this.context = context;
        this.legs = legs;
        this.window = window;
        this.ranges = ranges;
        begin = context.getRelativeTimeInMillis(false);
    }

    /**
     * Runs the legs.
     *
     * @param filter the filter from outside the hybrid (alias, document-level security), or null
     * @param late called by any thread when the deadline has ended a leg
     */
    public LegWindows run(Query filter, Runnable late) throws IOException {
        List<Query> filtered = new ArrayList<>(legs.size());
        for (Query leg : legs) {
            filtered.add(OuterFilter.on(leg, filter));
        }
        RangedLegs ranged = RangedLegs.of(context.searcher(), filtered, ranges);
        return new LegWindows(
            ReaderToken.of(context.searcher().getIndexReader()),
            searches.top(context.searcher(), ranged.queries(), window, this::overdue, late),
            ranged.ranges()
        );
    }

    /** Returns empty windows, for a shard where the legs did not run. */
    LegWindows none() {
        return new LegWindows(ReaderToken.of(context.searcher().getIndexReader()), Collections.nCopies(legs.size(), new ScoreDoc[0]));
    }

    private boolean overdue() {
        if (context.isCancelled()) {
            throw new TaskCancelledException("the search was cancelled while a leg of its hybrid ran");
        }
        TimeValue timeout = context.timeout();
        return timeout != null
            && SearchService.NO_TIMEOUT.equals(timeout) == false
            && context.getRelativeTimeInMillis() - begin > timeout.millis();
    }
}
