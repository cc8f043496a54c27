package org.mmsearch;

import java.util.Collection;
import java.util.List;

import org.opensearch.common.settings.Settings;
import org.opensearch.plugins.Plugin;
import org.opensearch.test.OpenSearchIntegTestCase;

import static org.opensearch.test.hamcrest.OpenSearchAssertions.assertAcked;

/** What every test on an in-JVM cluster shares: nodes with k-NN and mmsearch, and indices of one shape. */
public abstract class MmsearchIT extends OpenSearchIntegTestCase {

    @Override
    protected Collection<Class<? extends Plugin>> nodePlugins() {
        return List.of(Knn.plugin(), MmsearchPlugin.class);
    }

    /**
     * Creates an index of products: {@code title}, {@code color}, {@code price}, and the vector {@code v}.
     *
     * @param name its name
     * @param shards how many shards, without replicas
     * @param dimension of {@code v}
     */
    protected void createProducts(String name, int shards, int dimension) {
        Settings settings = Settings.builder()
            .put("index.number_of_shards", shards)
            .put("index.number_of_replicas", 0)
            .put("index.knn", true)
            .build();
        String mapping = """
            {"properties": {
               "title": {"type": "text"},
               "color": {"type": "keyword"},
               "price": {"type": "float"},
               "v": {"type": "knn_vector", "dimension": %d, "space_type": "l2",
                     "method": {"name": "hnsw", "engine": "lucene"}}}}
            """.formatted(dimension);
        assertAcked(client().admin().indices().prepareCreate(name).setSettings(settings).setMapping(mapping));
        ensureGreen(name);
    }
}
