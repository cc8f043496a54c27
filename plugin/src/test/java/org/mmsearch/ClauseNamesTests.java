package org.mmsearch;

import java.nio.file.Files;
import java.nio.file.Path;

import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.test.OpenSearchTestCase;

public class ClauseNamesTests extends OpenSearchTestCase {

    public void testOfficialNamesWhenAlone() throws Exception {
        assertEquals(new ClauseNames("neural", "hybrid", true), namesIn(createTempDir()));
    }

    public void testPrefixedNamesBesideTheOfficialPlugin() throws Exception {
        Path home = createTempDir();
        Files.createDirectories(home.resolve("plugins").resolve("opensearch-neural-search"));
        assertEquals(new ClauseNames("mmsearch_neural", "mmsearch_hybrid", false), namesIn(home));
    }

    public void testOfficialNamesWithoutAHome() throws Exception {
        assertEquals(ClauseNames.OFFICIAL, new MmsearchPlugin(Settings.EMPTY, null).names());
    }

    private static ClauseNames namesIn(Path home) {
        Settings settings = Settings.builder().put(Environment.PATH_HOME_SETTING.getKey(), home).build();
        return new MmsearchPlugin(settings, home.resolve("config")).names();
    }
}
