package org.mmsearch.stats;

import java.io.File;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;

/**
 * Whether k-NN's native libraries are where this node loads them from. To try it by loading them ends a node that lacks them, as the first
 * faiss index on such a node does; so the files are looked for.
 */
public final class NativeLibraries {

    private static final String FAISS = "opensearchknn_faiss";

    private NativeLibraries() {}

    /** @return {@code native_libraries}: whether an index of faiss can be made here */
    public static Map<String, Object> asMap() {
        return Map.of("native_libraries", faiss(System.getProperty("java.library.path", "")));
    }

    /** @param libraryPath folders, as {@code java.library.path} has them */
    static boolean faiss(String libraryPath) {
        return Arrays.stream(libraryPath.split(File.pathSeparator))
            .filter(folder -> folder.isEmpty() == false)
            .map(Path::of)
            .anyMatch(NativeLibraries::has);
    }

    private static boolean has(Path folder) {
        // Its name goes on with what the processor can do: _avx2, _avx512.
        String[] name = System.mapLibraryName(FAISS).split(FAISS, -1);
        if (Files.isDirectory(folder) == false) {
            return false;
        }
        try (DirectoryStream<Path> found = Files.newDirectoryStream(folder, name[0] + FAISS + "*" + name[1])) {
            return found.iterator().hasNext();
        } catch (IOException e) {
            // A folder that cannot be read is none that a library is loaded from.
            return false;
        }
    }
}
