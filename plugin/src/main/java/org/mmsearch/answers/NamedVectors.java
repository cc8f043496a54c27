package org.mmsearch.answers;

import java.util.List;
import java.util.Map;
import java.util.Set;

import org.opensearch.index.mapper.DocumentMapper;
import org.opensearch.index.mapper.MappedFieldType;
import org.opensearch.index.mapper.MapperService;

/** The vector fields that an index's {@code _meta.mmsearch.fields} names: those that mmsearch made, and no others. */
final class NamedVectors {

    private static final String TYPE = "knn_vector";

    private NamedVectors() {}

    /**
     * @param mapper of an index on this node
     * @return full names, sorted; empty where the index is none of mmsearch's or keeps its vectors in answers
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

    /** @param meta a mapping's {@code _meta}, or null */
    static Set<?> of(Object meta) {
        return meta instanceof Map<?, ?> all
            && all.get("mmsearch") instanceof Map<?, ?> ours
            && ours.get("fields") instanceof Map<?, ?> fields ? fields.keySet() : Set.of();
    }
}
