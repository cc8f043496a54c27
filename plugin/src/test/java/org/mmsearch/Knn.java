package org.mmsearch;

import org.opensearch.plugins.Plugin;

/** The k-NN plugin for tests: it is published as a zip, so it is on the class path when tests run, not when they compile. */
public final class Knn {

    private Knn() {}

    /** @return k-NN's plugin class */
    public static Class<? extends Plugin> plugin() {
        try {
            return Class.forName("org.opensearch.knn.plugin.KNNPlugin").asSubclass(Plugin.class);
        } catch (ClassNotFoundException e) {
            throw new AssertionError("expected k-NN's jars in target/knn: run the tests by mvn, which unpacks them there", e);
        }
    }
}
