package org.mmsearch;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.jar.JarOutputStream;
import java.util.zip.ZipEntry;

import javax.tools.JavaCompiler;
import javax.tools.ToolProvider;

import org.opensearch.Version;
import org.opensearch.action.search.PutSearchPipelineRequest;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.core.common.bytes.BytesArray;
import org.opensearch.env.Environment;
import org.opensearch.plugins.Plugin;
import org.opensearch.test.OpenSearchIntegTestCase.ClusterScope;
import org.opensearch.test.OpenSearchIntegTestCase.Scope;

/** Tests that mmsearch uses prefixed names on a node with a plugin that registers all official names. */
@ClusterScope(scope = Scope.TEST, numDataNodes = 0)
public class CoexistenceIT extends MmsearchIT {

    @Override
    protected Collection<Class<? extends Plugin>> nodePlugins() {
        return List.of(Knn.plugin(), MmsearchPlugin.class);
    }

    @Override
    protected Settings nodeSettings(int ordinal) {
        Path home = createTempDir();
        try {
            install(home.resolve("plugins").resolve("opensearch-neural-search"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return Settings.builder().put(super.nodeSettings(ordinal)).put(Environment.PATH_HOME_SETTING.getKey(), home).build();
    }

    /** Compiles the stand-in plugin into a plugin folder, from which the node loads it like the official plugin. */
    private static void install(Path folder) throws IOException {
        Files.createDirectories(folder);
        Path classes = createTempDir();
        Path source = classes.resolve("StandIn.java");
        try (InputStream in = CoexistenceIT.class.getResourceAsStream("/stand-in/StandIn.java")) {
            Files.copy(in, source);
        }
        String classPath = System.getProperty("java.class.path");
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        assertEquals(0, compiler.run(null, null, null, "-proc:none", "-cp", classPath, "-d", classes.toString(), source.toString()));
        try (
            JarOutputStream jar = new JarOutputStream(Files.newOutputStream(folder.resolve("stand-in.jar")));
            DirectoryStream<Path> compiled = Files.newDirectoryStream(classes.resolve("standin"))
        ) {
            for (Path file : compiled) {
                jar.putNextEntry(new ZipEntry("standin/" + file.getFileName()));
                Files.copy(file, jar);
            }
        }
        String descriptor = """
            name=opensearch-neural-search
            description=stand-in
            version=1
            classname=standin.StandIn
            java.version=21
            opensearch.version=%s
            """.formatted(Version.CURRENT);
        Files.writeString(folder.resolve("plugin-descriptor.properties"), descriptor);
    }

    public void testClausesGoByOtherNames() {
        internalCluster().startNode();
        createProducts("products", 3, 2);
        client().prepareIndex("products").setId("a").setSource("{\"color\": \"red\"}", XContentType.JSON).get();
        client().prepareIndex("products").setId("b").setSource("{\"color\": \"blue\"}", XContentType.JSON).get();
        refresh("products");
        var hits = ask("products", "{\"query\": {\"mmsearch_hybrid\": {\"queries\": [{\"term\": {\"color\": \"red\"}}]}}}").getHits();
        assertEquals(1, hits.getHits().length);
        assertNotNull(hits.getAt(0).field("_legs"));
        assertEquals(2, ask("products", "{\"query\": {\"hybrid\": {}}}").getHits().getHits().length);
        String message = failure("products", "{\"query\": {\"mmsearch_hybrid\": {}}}");
        assertTrue(message, message.contains("[mmsearch_hybrid] requires [queries]"));
        String classic = "{\"phase_results_processors\": [{\"normalization-processor\": {}}]}";
        var put = new PutSearchPipelineRequest("p", new BytesArray(classic), XContentType.JSON);
        Exception e = expectThrows(Exception.class, () -> client().admin().cluster().putSearchPipeline(put).actionGet());
        assertTrue(e.toString(), e.toString().contains("the stand-in's normalization-processor"));
    }
}
