package org.mmsearch.stats;

import java.io.IOException;

import org.mmsearch.WireForm;
import org.opensearch.action.support.nodes.BaseNodesRequest;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.transport.TransportRequest;

/** Which nodes are asked. */
public final class StatsRequest extends BaseNodesRequest<StatsRequest> {

    /** @param nodes ids or names; none means all */
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

    /** What one node is asked: everything. */
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
