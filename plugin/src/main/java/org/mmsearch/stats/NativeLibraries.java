package org.mmsearch.stats;

import java.io.File;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;

/**
 * Checks whether k-NN's native libraries are installed on this node. It looks for the files, because an attempt to load missing libraries
 * terminates the node.
 */
public final class NativeLibraries {

    private static final String FAISS = "opensearchknn_faiss";

    private NativeLibraries() {}

    /** Returns {@code native_libraries}: whether the faiss library is in {@code java.library.path}. */
    public static Map<String, Object> asMap() {
        return Map.of("native_libraries", faiss(System.getProperty("java.library.path", "")));
    }

    /**
     * Returns whether the faiss library is in one of the folders.
     *
     * @param libraryPath folders in the format of {@code java.library.path}
     */
    static boolean faiss(String libraryPath) {
        return Arrays.stream(libraryPath.split(File.pathSeparator))
            .filter(folder -> folder.isEmpty() == false)
            .map(Path::of)
            .anyMatch(NativeLibraries::has);
    }

    private static boolean has(Path folder) {
        // The file name may end with the processor's instruction set: _avx2, _avx512.
        String[] name = System.mapLibraryName(FAISS).split(FAISS, -1);
        if (Files.isDirectory(folder) == false) {
            return false;
        }
        try (DirectoryStream<Path> found = Files.newDirectoryStream(folder, name[0] + FAISS + "*" + name[1])) {
            return found.iterator().hasNext();
        } catch (IOException e) {
            // The JVM cannot load a library from an unreadable folder either.
            return false;
        }
    }
}
