package org.mmsearch.hybrid;

import java.util.List;

import org.mmsearch.hybrid.legs.Totals;
import org.mmsearch.hybrid.search.FusionPhase;
import org.mmsearch.hybrid.search.HybridRewrite;
import org.mmsearch.hybrid.search.PointInTime;
import org.mmsearch.hybrid.search.Way;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.search.SearchType;
import org.opensearch.common.settings.ClusterSettings;
import org.opensearch.index.query.AbstractQueryBuilder;
import org.opensearch.search.builder.SearchSourceBuilder;
import org.opensearch.search.internal.SearchContext;
import org.opensearch.search.pipeline.SearchPipelineService;

/** Selects how the hybrids of a request are executed if the request goes to several shards. */
final class Ways {

    /** The processors that execute hybrids without a point in time. */
    static final List<String> FACTORIES = List.of(HybridRewrite.TYPE, FusionPhase.TYPE);

    /** Whether the cluster settings disable our processors. Cached, because reading a setting parses it. */
    private volatile boolean switchedOff;

    Ways(ClusterSettings settings) {
        switchedOff = off(settings.get(SearchPipelineService.ENABLED_SYSTEM_GENERATED_FACTORIES_SETTING));
        settings.addSettingsUpdateConsumer(
            SearchPipelineService.ENABLED_SYSTEM_GENERATED_FACTORIES_SETTING,
            enabled -> switchedOff = off(enabled)
        );
    }

    /** Returns the way of a request. It does not change between calls unless the request or the cluster settings change. */
    Way of(SearchRequest request) {
        SearchSourceBuilder source = request.source();
        HybridFinder hybrids = source == null ? null : HybridFinder.in(source);
        if (hybrids == null || hybrids.any() == false) {
            return Way.NONE;
        }
        boolean refused = request.scroll() != null || source.slice() != null;
        // With global statistics (DFS), OpenSearch runs no processors between its query phase and its fetch phase. A collapse with inner
        // hits searches again after the fetch phase, when the readers are released.
        boolean neither = request.searchType() == SearchType.DFS_QUERY_THEN_FETCH || PointInTime.isExpanded(request) || switchedOff;
        if (neither && refused == false) {
            return hybrids.showsNone() ? Way.NONE : Way.POINT_IN_TIME;
        }
        return hybrids.exactlyOne() && plain(source) && refused == false ? Way.ONE_SEARCH : Way.TWO_ROUNDS;
    }

    private static boolean off(List<String> enabled) {
        return enabled.contains("*") == false && enabled.containsAll(FACTORIES) == false;
    }

    /** Returns whether only the fetch phase needs the fused hits. */
    private static boolean plain(SearchSourceBuilder source) {
        return source.query() instanceof HybridQueryBuilder hybrid
            && hybrid.boost() == AbstractQueryBuilder.DEFAULT_BOOST
            && hybrid.options().totals() == Totals.WINDOW
            && source.size() != 0
            && source.sorts() == null
            && source.searchAfter() == null
            && source.collapse() == null
            && source.aggregations() == null
            && source.postFilter() == null
            && source.minScore() == null
            && source.suggest() == null
            && source.terminateAfter() == SearchContext.DEFAULT_TERMINATE_AFTER
            && source.indexBoosts().isEmpty()
            && (source.rescores() == null || source.rescores().isEmpty());
    }
}
