package org.mmsearch.hybrid;

import static org.opensearch.test.hamcrest.OpenSearchAssertions.assertAcked;

/** {@link LegFaultsIT} with legs in several concurrent slices. */
public class LegFaultsInSlicesIT extends LegFaultsIT {

    @Override
    void arrange(String index) {
        assertAcked(client().admin().indices().prepareUpdateSettings(index).setSettings(UNMERGED));
        slices(index, "all", 3);
        for (int i = 1; i <= 20; i++) {
            put(index, i);
            if (i % 4 == 0) {
                refresh(index);
            }
        }
        assertTrue(segments(index) > 1);
    }
}
