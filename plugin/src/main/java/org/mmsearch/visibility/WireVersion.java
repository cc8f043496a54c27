package org.mmsearch.visibility;

import org.opensearch.cluster.node.DiscoveryNode;
import org.opensearch.cluster.node.DiscoveryNodeRole;
import org.opensearch.cluster.node.DiscoveryNodes;
import org.opensearch.common.settings.Settings;

/**
 * Which forms of queries the nodes of a cluster can read. Each says it in an attribute of its own, so that what a node with an
 * older plugin cannot read is not sent while a cluster is upgraded node by node.
 */
public final class WireVersion {

    private static final String ATTRIBUTE = "mmsearch_wire";
    private static final int HERE = 3;

    private WireVersion() {}

    /** What a node says of itself. */
    public static Settings settings() {
        return Settings.builder().put("node.attr." + ATTRIBUTE, HERE).build();
    }

    /** What was found for the nodes of a cluster, which stay the same object until one comes or goes. */
    private record Known(DiscoveryNodes nodes, boolean everywhere) {}

    private static volatile Known known = new Known(null, false);

    /** Whether all the nodes that may hold shards read what this one writes. */
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
            // Somebody else's attribute by the same name says nothing of ours.
            return 0;
        }
    }
}
