package org.mmsearch.stats;

import java.io.IOException;

import org.mmsearch.WireForm;
import org.opensearch.action.support.nodes.BaseNodesRequest;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.transport.TransportRequest;

/** A request for the stats of some or all nodes. */
public final class StatsRequest extends BaseNodesRequest<StatsRequest> {

    /** @param nodes ids or names of nodes; empty means all nodes */
    public StatsRequest(String... nodes) {
        super(nodes);
    }

    StatsRequest(StreamInput in) throws IOException {
        super(in);
        WireForm.read(in, StatsAction.INSTANCE.name(), WireForm.FIRST);
    }

    @Override
    public void writeTo(StreamOutput out) throws IOException {
        super.writeTo(out);
        WireForm.begin(out, WireForm.FIRST);
    }

    /** The request to one node, for all of its stats. */
    public static final class Node extends TransportRequest {

        Node() {}

        Node(StreamInput in) throws IOException {
            super(in);
            WireForm.read(in, StatsAction.INSTANCE.name(), WireForm.FIRST);
        }

        @Override
        public void writeTo(StreamOutput out) throws IOException {
            super.writeTo(out);
            WireForm.begin(out, WireForm.FIRST);
        }
    }
}
