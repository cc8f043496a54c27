package org.mmsearch.hybrid.search;

import java.util.List;

import org.opensearch.common.settings.Settings;

/** {@link CopiesOutOfStepIT} where segments and translog are in a repository, from which the copies are filled. */
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
