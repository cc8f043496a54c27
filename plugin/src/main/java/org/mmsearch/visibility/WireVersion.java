package org.mmsearch.visibility;

import org.opensearch.cluster.node.DiscoveryNode;
import org.opensearch.cluster.node.DiscoveryNodeRole;
import org.opensearch.cluster.node.DiscoveryNodes;
import org.opensearch.common.settings.Settings;

/**
 * Checks which internal queries the nodes of a cluster can read. Each node publishes its version in a node attribute. During a rolling
 * upgrade, queries are not sent if a node with an older plugin cannot read them.
 */
public final class WireVersion {

    private static final String ATTRIBUTE = "mmsearch_wire";
    private static final int HERE = 3;

    private WireVersion() {}

    /** Returns the node attribute of this version. */
    public static Settings settings() {
        return Settings.builder().put("node.attr." + ATTRIBUTE, HERE).build();
    }

    /** The last result. {@link DiscoveryNodes} is immutable, so the result is valid as long as the object is the same. */
    private record Known(DiscoveryNodes nodes, boolean everywhere) {}

    private static volatile Known known = new Known(null, false);

    /** Returns whether all data nodes can read the queries of this version. */
    static boolean everywhere(DiscoveryNodes nodes) {
        Known last = known;
        if (last.nodes != nodes) {
            last = new Known(nodes, all(nodes));
            known = last;
        }
        return last.everywhere;
    }

    private static boolean all(DiscoveryNodes nodes) {
        for (DiscoveryNode node : nodes) {
            String version = node.getAttributes().get(ATTRIBUTE);
            if (node.getRoles().stream().anyMatch(DiscoveryNodeRole::canContainData) && (version == null || at(version) < HERE)) {
                return false;
            }
        }
        return true;
    }

    private static int at(String version) {
        try {
            return Integer.parseInt(version);
        } catch (NumberFormatException e) {
            // The attribute was set by something other than mmsearch.
            return 0;
        }
    }
}
