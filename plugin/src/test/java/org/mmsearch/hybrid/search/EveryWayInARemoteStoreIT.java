package org.mmsearch.hybrid.search;

import org.opensearch.common.settings.Settings;

/** {@link EveryWayIT} with remote-backed storage: replicas copy segments and translog from a repository. */
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
