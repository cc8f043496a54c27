package org.mmsearch.stats;

import org.opensearch.action.ActionType;

/** Asks every node for its {@link NodeStats}. */
public final class StatsAction extends ActionType<StatsResponse> {

    /** The action. */
    public static final StatsAction INSTANCE = new StatsAction();

    private StatsAction() {
        super("cluster:monitor/mmsearch/stats", StatsResponse::new);
    }
}
