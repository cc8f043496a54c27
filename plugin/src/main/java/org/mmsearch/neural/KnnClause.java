package org.mmsearch.neural;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;

import org.opensearch.common.xcontent.XContentType;
import org.opensearch.core.xcontent.DeprecationHandler;
import org.opensearch.core.xcontent.MapXContentParser;
import org.opensearch.core.xcontent.NamedXContentRegistry;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.index.query.AbstractQueryBuilder;
import org.opensearch.index.query.QueryBuilder;

/**
 * Makes k-NN's own {@code knn} query. k-NN lives behind another class loader: its parser, found in the registry, is the
 * only door, and it takes a map as well as a text, so that no vector is ever written out as JSON.
 */
final class KnnClause {

    private static final String NAME = "knn";

    private KnnClause() {}

    /**
     * @param vector float32 of the field's dimension
     * @throws org.opensearch.core.common.ParsingException when k-NN is not installed or refuses a value
     */
    static QueryBuilder of(NamedXContentRegistry registry, String field, NeuralBody body, float[] vector) throws IOException {
        Map<String, Object> knn = new LinkedHashMap<>();
        knn.put("vector", new FloatList(vector));
        put(knn, "k", body.k());
        put(knn, "min_score", body.minScore());
        put(knn, "max_distance", body.maxDistance());
        put(knn, "method_parameters", body.methodParameters());
        put(knn, "rescore", body.rescore());
        put(knn, "expand_nested_docs", body.expandNestedDocs());
        Map<String, Object> query = Map.of(NAME, Map.of(field, knn));
        QueryBuilder built;
        try (XContentParser parser = new MapXContentParser(registry, DeprecationHandler.IGNORE_DEPRECATIONS, query, XContentType.JSON)) {
            built = AbstractQueryBuilder.parseInnerQueryBuilder(parser);
        }
        return body.filter() == null ? built : built.filter(body.filter());
    }

    private static void put(Map<String, Object> knn, String key, Object value) {
        if (value != null) {
            knn.put(key, value);
        }
    }
}
