package org.mmsearch.hybrid.search;

import org.opensearch.common.settings.Settings;

/** {@link EveryWayIT} where segments and translog are in a repository, from which the replicas are filled. */
public class EveryWayInARemoteStoreIT extends EveryWayIT {

    @Override
    protected Settings nodeSettings(int ordinal) {
        return Settings.builder().put(super.nodeSettings(ordinal)).put(remoteStore()).build();
    }

    @Override
    protected String preference() {
        return "_replica";
    }
}
