package org.mmsearch;

import java.nio.file.Path;

import org.opensearch.common.settings.Settings;
import org.opensearch.plugins.Plugin;
import org.opensearch.plugins.SearchPlugin;

/** Registers what mmsearch adds to a node, and does nothing else. */
public final class MmsearchPlugin extends Plugin implements SearchPlugin {

    private final ClauseNames names;

    /**
     * @param settings the node's settings
     * @param configPath the node's config folder, or null in a unit test
     */
    public MmsearchPlugin(Settings settings, Path configPath) {
        names = ClauseNames.of(settings);
    }

    /** The names under which this node knows the clauses. */
    ClauseNames names() {
        return names;
    }
}
