package org.mmsearch.neural;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;

import org.mmsearch.neural.fields.VectorStorage;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.core.xcontent.DeprecationHandler;
import org.opensearch.core.xcontent.MapXContentParser;
import org.opensearch.core.xcontent.NamedXContentRegistry;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.index.query.AbstractQueryBuilder;
import org.opensearch.index.query.BoolQueryBuilder;
import org.opensearch.index.query.MatchAllQueryBuilder;
import org.opensearch.index.query.QueryBuilder;

/**
 * Creates k-NN's {@code knn} query. k-NN has another class loader, so its parser from the registry is the only access. The parser accepts a
 * map, so vectors are not written as JSON.
 */
final class KnnClause {

    private static final String NAME = "knn";
    private static final int RESCORED_BY_OBJECT = 8;

    private KnnClause() {}

    /**
     * Creates the query.
     *
     * @param storage how k-NN stores the field
     * @param nested whether the field is in nested documents; only k-NN's own filter can filter these by their root documents
     * @param vector float32 of the field's dimension
     * @throws org.opensearch.core.common.ParsingException if k-NN is not installed or rejects a value
     */
    static QueryBuilder of(
        NamedXContentRegistry registry,
        String field,
        VectorStorage storage,
        boolean nested,
        NeuralBody body,
        float[] vector
    ) throws IOException {
        if (body.rescore() instanceof Boolean rescore && storage.compression() >= RESCORED_BY_OBJECT) {
            // For these fields, k-NN rejects one boolean and ignores the other.
            throw new IllegalArgumentException(
                "expected [rescore] of a field with compression " + storage.compression() + " to be an object, such as "
                    + "{\"oversample_factor\": 3.0}, got [" + rescore + "]; leave it out for k-NN's own"
            );
        }
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
        return storage.faiss() ? filteredByFaiss(built, nested, body) : body.filter() == null ? built : built.filter(body.filter());
    }

    private static QueryBuilder filteredByFaiss(QueryBuilder knn, boolean nested, NeuralBody body) {
        if (body.k() == null && nested == false) {
            // Radial search finds all hits within the limit, with any filter. k-NN's own filtered radial search misses some of them.
            return body.filter() == null ? knn : new BoolQueryBuilder().must(knn).filter(body.filter());
        }
        if (body.k() == null) {
            return body.filter() == null ? knn : knn.filter(body.filter());
        }
        // Without a filter, faiss counts deleted and replaced documents among the k.
        return knn.filter(body.filter() == null ? new MatchAllQueryBuilder() : body.filter());
    }

    private static void put(Map<String, Object> knn, String key, Object value) {
        if (value != null) {
            knn.put(key, value);
        }
    }
}
