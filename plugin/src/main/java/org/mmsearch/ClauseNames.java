package org.mmsearch;

import java.nio.file.Files;
import java.nio.file.Path;

import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;

/**
 * The names of the clauses on this node: the official ones, or prefixed ones where the official plugin is installed too,
 * since two plugins with one query name keep a node from starting.
 *
 * @param neural name of the clause that encodes
 * @param hybrid name of the clause that fuses
 * @param official whether the official names are ours, the search-pipeline processors' names included
 */
public record ClauseNames(String neural, String hybrid, boolean official) {

    private static final Logger LOG = LogManager.getLogger(ClauseNames.class);
    private static final String OFFICIAL_PLUGIN = "opensearch-neural-search";

    /** The names the official plugin uses. */
    public static final ClauseNames OFFICIAL = new ClauseNames("neural", "hybrid", true);
    /** The names beside the official plugin. */
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
