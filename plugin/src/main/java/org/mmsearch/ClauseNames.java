package org.mmsearch;

import java.nio.file.Files;
import java.nio.file.Path;

import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;

/**
 * The names under which this node registers mmsearch's clauses. The names are prefixed if the official neural-search plugin is also
 * installed, because a node does not start if two plugins register the same query name.
 *
 * @param neural name of the {@code neural} clause
 * @param hybrid name of the {@code hybrid} clause
 * @param official whether mmsearch uses the official names, including those of the search-pipeline processors
 */
public record ClauseNames(String neural, String hybrid, boolean official) {

    private static final Logger LOG = LogManager.getLogger(ClauseNames.class);
    private static final String OFFICIAL_PLUGIN = "opensearch-neural-search";

    /** The names of the official plugin. */
    public static final ClauseNames OFFICIAL = new ClauseNames("neural", "hybrid", true);
    /** The prefixed names, used if the official plugin is also installed. */
    public static final ClauseNames BESIDE = new ClauseNames("mmsearch_neural", "mmsearch_hybrid", false);

    static ClauseNames of(Settings settings) {
        if (Environment.PATH_HOME_SETTING.exists(settings) == false) {
            return OFFICIAL;
        }
        Path official = Path.of(Environment.PATH_HOME_SETTING.get(settings)).resolve("plugins").resolve(OFFICIAL_PLUGIN);
        if (Files.isDirectory(official) == false) {
            return OFFICIAL;
        }
        LOG.info(
            "[{}] is installed in [{}] and owns the names [neural] and [hybrid]: mmsearch's clauses are [{}] and [{}], "
                + "and it registers none of the official search-pipeline processors",
            OFFICIAL_PLUGIN,
            official,
            BESIDE.neural,
            BESIDE.hybrid
        );
        return BESIDE;
    }
}
