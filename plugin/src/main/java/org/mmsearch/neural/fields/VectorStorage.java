package org.mmsearch.neural.fields;

import java.util.Locale;
import java.util.Map;

/**
 * The properties of k-NN's storage of a vector field that affect queries.
 *
 * @param faiss whether the engine is faiss rather than Lucene
 * @param compression compression ratio of the indexed vectors relative to float32, from 1 to 32
 */
public record VectorStorage(boolean faiss, int compression) {

    /** Uncompressed vectors with the Lucene engine. */
    public static final VectorStorage LUCENE = new VectorStorage(false, 1);

    private static final int FLOAT_BITS = 32;
    private static final int LUCENE_COMPRESSION = 4;

    /**
     * Returns the storage of a field.
     *
     * @param field the mapping of a {@code knn_vector}
     */
    static VectorStorage of(Map<?, ?> field) {
        Map<?, ?> method = map(field, "method");
        int compression = compression(field, method);
        Object engine = method.containsKey("engine") ? method.get("engine") : field.get("engine");
        if (engine != null) {
            return new VectorStorage("lucene".equals(lower(engine)) == false, compression);
        }
        // k-NN's default engine is faiss, except for methods and compressions that only Lucene supports.
        boolean lucene = compression == LUCENE_COMPRESSION || lower(method.get("name")).equals("flat");
        return new VectorStorage(lucene == false, compression);
    }

    /** Returns the storage that covers both: faiss if either is faiss, and the higher compression. */
    VectorStorage and(VectorStorage other) {
        return new VectorStorage(faiss || other.faiss, Math.max(compression, other.compression));
    }

    private static int compression(Map<?, ?> field, Map<?, ?> method) {
        if (field.get("compression_level") != null) {
            return number(lower(field.get("compression_level")).replace("x", ""), 1);
        }
        Map<?, ?> encoder = map(map(method, "parameters"), "encoder");
        Map<?, ?> parameters = map(encoder, "parameters");
        return switch (lower(encoder.get("name"))) {
            case "binary" -> FLOAT_BITS / number(parameters.get("bits"), 1);
            case "sq" -> parameters.containsKey("bits") ? FLOAT_BITS / number(parameters.get("bits"), FLOAT_BITS) : 2;
            default -> lower(field.get("mode")).equals("on_disk") ? FLOAT_BITS : 1;
        };
    }

    private static int number(Object value, int absent) {
        try {
            return value == null ? absent : Math.clamp(Integer.parseInt(value.toString()), 1, FLOAT_BITS);
        } catch (NumberFormatException e) {
            // k-NN rejects mappings with an invalid number here.
            return absent;
        }
    }

    private static String lower(Object value) {
        return value == null ? "" : value.toString().toLowerCase(Locale.ROOT);
    }

    private static Map<?, ?> map(Map<?, ?> parent, String key) {
        return parent.get(key) instanceof Map<?, ?> child ? child : Map.of();
    }
}
