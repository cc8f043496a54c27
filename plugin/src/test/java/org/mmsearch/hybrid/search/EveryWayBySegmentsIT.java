package org.mmsearch.hybrid.search;

import org.opensearch.common.settings.Settings;

/** {@link EveryWayIT} with segment replication. */
public class EveryWayBySegmentsIT extends EveryWayIT {

    @Override
    protected Settings replication() {
        return Settings.builder().put("index.replication.type", "SEGMENT").build();
    }

    @Override
    protected String preference() {
        return "_replica";
    }
}
