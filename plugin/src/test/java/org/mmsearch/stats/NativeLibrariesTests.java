package org.mmsearch.stats;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

import org.opensearch.test.OpenSearchTestCase;

/** Tests that k-NN's libraries are found in the folders from which the JVM loads them. */
public class NativeLibrariesTests extends OpenSearchTestCase {

    public void testFaiss() throws IOException {
        Path empty = createTempDir();
        Path libraries = createTempDir();
        String path = empty + File.pathSeparator + libraries + File.pathSeparator + empty.resolve("nowhere");
        assertFalse(NativeLibraries.faiss(""));
        assertFalse(NativeLibraries.faiss(path));
        Files.createFile(libraries.resolve(System.mapLibraryName("opensearchknn_common")));
        assertFalse(NativeLibraries.faiss(path));
        Path simple = Files.createFile(libraries.resolve(System.mapLibraryName("opensearchknn_faiss")));
        assertTrue(NativeLibraries.faiss(path));
        Files.delete(simple);
        Files.createFile(libraries.resolve(System.mapLibraryName("opensearchknn_faiss_avx2")));
        assertTrue(NativeLibraries.faiss(path));
    }
}
