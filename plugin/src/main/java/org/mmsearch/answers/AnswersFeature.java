package org.mmsearch.answers;

import java.util.List;

import org.opensearch.action.support.ActionFilter;
import org.opensearch.cluster.metadata.IndexNameExpressionResolver;
import org.opensearch.cluster.service.ClusterService;
import org.opensearch.common.settings.Setting;
import org.opensearch.common.settings.Setting.Property;
import org.opensearch.index.shard.SearchOperationListener;
import org.opensearch.search.fetch.FetchSubPhase;

/** All that the plugin class registers so that answers of {@code _search} and {@code _msearch} leave vectors out. */
public final class AnswersFeature {

    /** Of a node: whether the searches that it takes by REST leave vectors out. */
    static final Setting<Boolean> NODE = Setting.boolSetting(
        "mmsearch.answers.leave_out_vectors",
        true,
        Property.NodeScope,
        Property.Dynamic
    );
    /** Of an index: whether its vectors are left out. */
    static final Setting<Boolean> INDEX = Setting.boolSetting(
        "index.mmsearch.answers.leave_out_vectors",
        true,
        Property.IndexScope,
        Property.Dynamic
    );

    private LeaveOutVectors filter;

    /** What the owners of nodes and indices can set. */
    public List<Setting<?>> settings() {
        return List.of(NODE, INDEX);
    }

    /** Gives it what it works with. */
    public void open(ClusterService cluster, IndexNameExpressionResolver resolver) {
        filter = new LeaveOutVectors(cluster, resolver);
    }

    /** Marks requests; asked for after {@link #open}. */
    public List<ActionFilter> actionFilters() {
        return List.of(filter);
    }

    /** Heeds the mark on hits, before they are read. */
    public SearchOperationListener searchListener() {
        return new MarkedSearches();
    }

    /** Heeds the mark wherever else documents are fetched. */
    public List<FetchSubPhase> fetchSubPhases() {
        return List.of(new MarkedSources());
    }
}
