package org.mmsearch.hybrid.search;

import java.util.List;

import org.opensearch.common.settings.Settings;

/** {@link CopiesOutOfStepIT} with remote-backed storage: copies read segments and translog from a repository. */
public class CopiesOutOfStepInARemoteStoreIT extends CopiesOutOfStepIT {

    @Override
    protected Settings nodeSettings(int ordinal) {
        return Settings.builder().put(super.nodeSettings(ordinal)).put(remoteStore()).build();
    }

    @Override
    protected List<String> replications(int replicas) {
        return List.of("SEGMENT");
    }
}
