package org.mmsearch.answers;

import java.util.List;
import java.util.Map;
import java.util.Set;

import org.opensearch.index.mapper.DocumentMapper;
import org.opensearch.index.mapper.MappedFieldType;
import org.opensearch.index.mapper.MapperService;

/** Reads the vector fields named in an index's {@code _meta.mmsearch.fields}. Other vector fields are never excluded. */
final class NamedVectors {

    private static final String TYPE = "knn_vector";

    private NamedVectors() {}

    /**
     * Returns the vector fields to exclude from responses.
     *
     * @param mapper the mapper service of an index on this node
     * @return full field names, sorted; empty if the index has no mmsearch vectors or its setting keeps them in responses
     */
    static List<String> leftOut(MapperService mapper) {
        DocumentMapper document = mapper.documentMapper();
        if (document == null || document.sourceMapper().enabled() == false || leavesOut(mapper) == false) {
            return List.of();
        }
        return of(document.meta()).stream().map(Object::toString).filter(name -> vector(mapper.fieldType(name))).sorted().toList();
    }

    private static boolean leavesOut(MapperService mapper) {
        return mapper.getIndexSettings().getScopedSettings().get(AnswersFeature.INDEX);
    }

    private static boolean vector(MappedFieldType type) {
        return type != null && TYPE.equals(type.typeName());
    }

    /** Returns the keys of {@code mmsearch.fields} in a mapping's {@code _meta}, which may be null; empty if there are none. */
    static Set<?> of(Object meta) {
        return meta instanceof Map<?, ?> all
            && all.get("mmsearch") instanceof Map<?, ?> ours
            && ours.get("fields") instanceof Map<?, ?> fields ? fields.keySet() : Set.of();
    }
}
