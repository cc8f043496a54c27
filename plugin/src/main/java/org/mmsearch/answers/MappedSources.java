package org.mmsearch.answers;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

import org.opensearch.cluster.metadata.IndexMetadata;
import org.opensearch.cluster.metadata.MappingMetadata;

/** Caches, per index and mapping version, whether the mapping has mmsearch vectors and whether it stores {@code _source}. */
final class MappedSources {

    /** Maximum number of entries. The cache is cleared when it is full, which is simpler than tracking the age of entries. */
    private static final int KEPT = 10_000;

    /**
     * The relevant properties of a mapping.
     *
     * @param vectors whether {@code _meta.mmsearch.fields} is not empty
     * @param source whether {@code _source} is enabled
     */
    record Mapped(boolean vectors, boolean source) {}

    private record Known(long mappingVersion, Mapped mapped) {}

    private final Map<String, Known> known = new ConcurrentHashMap<>();

    /** Returns the properties of the index's current mapping. */
    Mapped of(IndexMetadata index) {
        Known found = known.get(index.getIndexUUID());
        if (found != null && found.mappingVersion == index.getMappingVersion()) {
            return found.mapped;
        }
        Mapped mapped = read(index.mapping());
        if (known.size() >= KEPT) {
            known.clear();
        }
        known.put(index.getIndexUUID(), new Known(index.getMappingVersion(), mapped));
        return mapped;
    }

    private static Mapped read(MappingMetadata mapping) {
        if (mapping == null) {
            return new Mapped(false, true);
        }
        Map<String, Object> root = mapping.sourceAsMap();
        boolean source = root.get("_source") instanceof Map<?, ?> kept && "false".equals(String.valueOf(kept.get("enabled")));
        return new Mapped(NamedVectors.of(root.get("_meta")).isEmpty() == false, source == false);
    }
}
