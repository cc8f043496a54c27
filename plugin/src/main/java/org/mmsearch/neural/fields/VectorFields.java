package org.mmsearch.neural.fields;

import java.util.HashMap;
import java.util.Map;

import org.opensearch.cluster.metadata.MappingMetadata;

/** The fields of an index, with the properties in the mapping and in {@code _meta.mmsearch.fields} that encoding needs. */
final class VectorFields {

    private final Map<String, VectorField> fields = new HashMap<>();
    private TextToImage textToImage;

    private VectorFields() {}

    /** Returns the fields of a mapping; empty if the mapping is null. */
    static VectorFields of(MappingMetadata mapping) {
        VectorFields found = new VectorFields();
        if (mapping != null) {
            Map<String, Object> root = mapping.sourceAsMap();
            Map<?, ?> ours = map(map(root, "_meta"), "mmsearch");
            found.textToImage = TextToImage.of(ours);
            found.collect("", map(root, "properties"), false, map(ours, "fields"));
        }
        return found;
    }

    /** Returns the field with a full name, or null if the index has no such field. */
    VectorField get(String name) {
        return fields.get(name);
    }

    /** Returns how the vectors of a field weigh the similarity of a query's text to a product's image, or null if they have no such part. */
    TextToImage textToImage(String name) {
        VectorField field = fields.get(name);
        return field != null && field.fused() ? textToImage : null;
    }

    private void collect(String prefix, Map<?, ?> properties, boolean nested, Map<?, ?> meta) {
        properties.forEach((key, value) -> {
            if (value instanceof Map<?, ?> field) {
                String name = prefix + key;
                Object type = field.get("type");
                if (type != null && field.containsKey("properties") == false) {
                    VectorStorage storage = VectorStorage.of(field);
                    int dimension = number(field.get("dimension"));
                    fields.put(name, new VectorField(name, type.toString(), dimension, nested, storage, map(meta, name)));
                }
                collect(name + ".", map(field, "properties"), nested || "nested".equals(type), meta);
            }
        });
    }

    private static Map<?, ?> map(Map<?, ?> parent, String key) {
        return parent.get(key) instanceof Map<?, ?> child ? child : Map.of();
    }

    private static int number(Object value) {
        return value instanceof Number number ? number.intValue() : 0;
    }
}
