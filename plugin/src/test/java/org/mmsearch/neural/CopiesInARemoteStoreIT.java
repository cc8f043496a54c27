package org.mmsearch.neural;

import org.opensearch.common.settings.Settings;

/** {@link CopiesBySegmentsIT} with remote-backed storage: copies read segments and translog from a repository. */
public class CopiesInARemoteStoreIT extends CopiesBySegmentsIT {

    @Override
    protected Settings nodeSettings(int ordinal) {
        return Settings.builder().put(super.nodeSettings(ordinal)).put(remoteStore()).build();
    }

    @Override
    protected Settings reference() {
        // Such a cluster has no document replication, so the reference index has one copy.
        return Settings.builder().put("index.number_of_replicas", 0).build();
    }

    @Override
    protected Settings bySegments() {
        return Settings.builder().put("index.number_of_replicas", 1).build();
    }
}
