package org.mmsearch.answers;

import java.util.List;

import org.opensearch.action.support.ActionFilter;
import org.opensearch.cluster.metadata.IndexNameExpressionResolver;
import org.opensearch.cluster.service.ClusterService;
import org.opensearch.common.settings.Setting;
import org.opensearch.common.settings.Setting.Property;
import org.opensearch.index.shard.SearchOperationListener;
import org.opensearch.search.fetch.FetchSubPhase;

/** Registers the extensions that exclude vectors from the responses of {@code _search} and {@code _msearch}. */
public final class AnswersFeature {

    /** Node setting: whether vectors are excluded from the responses to REST searches that this node receives. */
    static final Setting<Boolean> NODE = Setting.boolSetting(
        "mmsearch.answers.leave_out_vectors",
        true,
        Property.NodeScope,
        Property.Dynamic
    );
    /** Index setting: whether the vectors of this index are excluded. */
    static final Setting<Boolean> INDEX = Setting.boolSetting(
        "index.mmsearch.answers.leave_out_vectors",
        true,
        Property.IndexScope,
        Property.Dynamic
    );

    private LeaveOutVectors filter;

    /** Returns the node setting and the index setting. */
    public List<Setting<?>> settings() {
        return List.of(NODE, INDEX);
    }

    /** Passes in the node's services. */
    public void open(ClusterService cluster, IndexNameExpressionResolver resolver) {
        filter = new LeaveOutVectors(cluster, resolver);
    }

    /** Returns the filter that marks search requests. Must be called after {@link #open}. */
    public List<ActionFilter> actionFilters() {
        return List.of(filter);
    }

    /** Returns the listener that applies the mark to top-level hits before they are read. */
    public SearchOperationListener searchListener() {
        return new MarkedSearches();
    }

    /** Returns the fetch sub-phase that applies the mark to all other hits. */
    public List<FetchSubPhase> fetchSubPhases() {
        return List.of(new MarkedSources());
    }
}
