package org.mmsearch.answers;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;

import org.opensearch.cluster.metadata.IndexMetadata;
import org.opensearch.cluster.metadata.MappingMetadata;

/** The paths of the vector fields of indices, read once per version of a mapping. */
final class VectorPaths {

    /** More indices than a node keeps mappings of: the oldest are forgotten all at once rather than tracked. */
    private static final int KEPT = 10_000;
    private static final String VECTOR_TYPE = "knn_vector";

    private record Known(long mappingVersion, List<String> paths) {}

    private final Map<String, Known> known = new ConcurrentHashMap<>();

    /**
     * @param indices any
     * @return the paths of all their vector fields, sorted, without repeats
     */
    List<String> of(Iterable<IndexMetadata> indices) {
        TreeSet<String> all = new TreeSet<>();
        for (IndexMetadata index : indices) {
            all.addAll(of(index));
        }
        return new ArrayList<>(all);
    }

    private List<String> of(IndexMetadata index) {
        Known before = known.get(index.getIndexUUID());
        if (before != null && before.mappingVersion == index.getMappingVersion()) {
            return before.paths;
        }
        List<String> paths = new ArrayList<>();
        MappingMetadata mapping = index.mapping();
        if (mapping != null) {
            collect("", mapping.sourceAsMap(), paths);
        }
        if (known.size() >= KEPT) {
            known.clear();
        }
        known.put(index.getIndexUUID(), new Known(index.getMappingVersion(), List.copyOf(paths)));
        return paths;
    }

    private static void collect(String prefix, Map<?, ?> object, List<String> paths) {
        if (object.get("properties") instanceof Map<?, ?> properties) {
            properties.forEach((name, value) -> {
                if (value instanceof Map<?, ?> field) {
                    if (VECTOR_TYPE.equals(field.get("type"))) {
                        paths.add(prefix + name);
                    }
                    collect(prefix + name + ".", field, paths);
                }
            });
        }
    }
}
