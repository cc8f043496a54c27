package org.mmsearch.stats;

import java.io.IOException;
import java.util.List;
import java.util.Map;

import org.mmsearch.WireForm;
import org.opensearch.action.FailedNodeException;
import org.opensearch.action.support.nodes.BaseNodeResponse;
import org.opensearch.action.support.nodes.BaseNodesResponse;
import org.opensearch.cluster.ClusterName;
import org.opensearch.cluster.node.DiscoveryNode;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.xcontent.ToXContentFragment;
import org.opensearch.core.xcontent.XContentBuilder;

/** The stats of several nodes. */
public final class StatsResponse extends BaseNodesResponse<StatsResponse.Node> implements ToXContentFragment {

    StatsResponse(StreamInput in) throws IOException {
        super(in);
    }

    StatsResponse(ClusterName cluster, List<Node> nodes, List<FailedNodeException> failures) {
        super(cluster, nodes, failures);
    }

    @Override
    protected List<Node> readNodesFrom(StreamInput in) throws IOException {
        return in.readList(Node::new);
    }

    @Override
    protected void writeNodesTo(StreamOutput out, List<Node> nodes) throws IOException {
        out.writeList(nodes);
    }

    @Override
    public XContentBuilder toXContent(XContentBuilder builder, Params params) throws IOException {
        builder.startObject("nodes");
        for (Node node : getNodes()) {
            builder.startObject(node.getNode().getId()).field("name", node.getNode().getName());
            for (Map.Entry<String, Object> part : node.numbers().entrySet()) {
                builder.field(part.getKey(), part.getValue());
            }
            builder.endObject();
        }
        return builder.endObject();
    }

    /** The stats of one node. */
    public static final class Node extends BaseNodeResponse {

        private final Map<String, Object> numbers;

        Node(DiscoveryNode node, Map<String, Object> numbers) {
            super(node);
            this.numbers = numbers;
        }

        Node(StreamInput in) throws IOException {
            super(in);
            WireForm.read(in, StatsAction.INSTANCE.name(), WireForm.FIRST);
            numbers = in.readMap();
        }

        @Override
        public void writeTo(StreamOutput out) throws IOException {
            super.writeTo(out);
            WireForm.begin(out, WireForm.FIRST);
            out.writeMap(numbers);
        }

        Map<String, Object> numbers() {
            return numbers;
        }
    }
}
