package org.mmsearch.stats;

import java.io.IOException;
import java.util.List;

import org.opensearch.action.FailedNodeException;
import org.opensearch.action.support.ActionFilters;
import org.opensearch.action.support.nodes.TransportNodesAction;
import org.opensearch.cluster.service.ClusterService;
import org.opensearch.common.inject.Inject;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.threadpool.ThreadPool;
import org.opensearch.transport.TransportService;

/** Collects the {@link NodeStats} of each requested node. */
public final class TransportStatsAction extends TransportNodesAction<
    StatsRequest,
    StatsResponse,
    StatsRequest.Node,
    StatsResponse.Node> {

    private final NodeStats stats;

    /** Called by Guice. */
    @Inject
    public TransportStatsAction(
        ThreadPool threads,
        ClusterService cluster,
        TransportService transport,
        ActionFilters filters,
        NodeStats stats
    ) {
        super(
            StatsAction.INSTANCE.name(),
            threads,
            cluster,
            transport,
            filters,
            StatsRequest::new,
            StatsRequest.Node::new,
            ThreadPool.Names.MANAGEMENT,
            StatsResponse.Node.class
        );
        this.stats = stats;
    }

    @Override
    protected StatsResponse newResponse(StatsRequest request, List<StatsResponse.Node> nodes, List<FailedNodeException> failures) {
        return new StatsResponse(clusterService.getClusterName(), nodes, failures);
    }

    @Override
    protected StatsRequest.Node newNodeRequest(StatsRequest request) {
        return new StatsRequest.Node();
    }

    @Override
    protected StatsResponse.Node newNodeResponse(StreamInput in) throws IOException {
        return new StatsResponse.Node(in);
    }

    @Override
    protected StatsResponse.Node nodeOperation(StatsRequest.Node request) {
        return new StatsResponse.Node(clusterService.localNode(), stats.asMap());
    }
}
