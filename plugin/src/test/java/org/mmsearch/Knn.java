package org.mmsearch;

import org.opensearch.plugins.Plugin;

/** Loads the k-NN plugin for tests by name. It is published as a zip and is on the class path only at run time. */
public final class Knn {

    private Knn() {}

    /** Returns the plugin class of k-NN. */
    public static Class<? extends Plugin> plugin() {
        try {
            return Class.forName("org.opensearch.knn.plugin.KNNPlugin").asSubclass(Plugin.class);
        } catch (ClassNotFoundException e) {
            throw new AssertionError("expected k-NN's jars in target/knn: run the tests by mvn, which unpacks them there", e);
        }
    }
}
