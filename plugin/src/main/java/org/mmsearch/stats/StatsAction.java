package org.mmsearch.stats;

import org.opensearch.action.ActionType;

/** The action that collects the {@link NodeStats} of several nodes. */
public final class StatsAction extends ActionType<StatsResponse> {

    /** The only instance. */
    public static final StatsAction INSTANCE = new StatsAction();

    private StatsAction() {
        super("cluster:monitor/mmsearch/stats", StatsResponse::new);
    }
}
