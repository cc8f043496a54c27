package org.mmsearch.neural;

import org.opensearch.common.settings.Settings;

/** {@link CopiesBySegmentsIT} where segments and translog are in a repository, from which the copies are filled. */
public class CopiesInARemoteStoreIT extends CopiesBySegmentsIT {

    @Override
    protected Settings nodeSettings(int ordinal) {
        return Settings.builder().put(super.nodeSettings(ordinal)).put(remoteStore()).build();
    }

    @Override
    protected Settings reference() {
        // Such a cluster has no replication of documents: one copy is right.
        return Settings.builder().put("index.number_of_replicas", 0).build();
    }

    @Override
    protected Settings bySegments() {
        return Settings.builder().put("index.number_of_replicas", 1).build();
    }
}
