package org.mmsearch.answers;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

import org.opensearch.cluster.metadata.IndexMetadata;
import org.opensearch.cluster.metadata.MappingMetadata;

/** What the mappings of indices say of vectors and of {@code _source}, read once per version of a mapping. */
final class MappedSources {

    /** More indices than a node keeps mappings of: the oldest are forgotten all at once rather than tracked. */
    private static final int KEPT = 10_000;

    /**
     * @param vectors whether {@code _meta.mmsearch.fields} names any
     * @param source whether {@code _source} is kept
     */
    record Mapped(boolean vectors, boolean source) {}

    private record Known(long mappingVersion, Mapped mapped) {}

    private final Map<String, Known> known = new ConcurrentHashMap<>();

    /** @param index any */
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
