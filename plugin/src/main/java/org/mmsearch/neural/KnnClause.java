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
 * Makes k-NN's own {@code knn} query. k-NN lives behind another class loader: its parser, found in the registry, is the
 * only door, and it takes a map as well as a text, so that no vector is ever written out as JSON.
 */
final class KnnClause {

    private static final String NAME = "knn";
    private static final int RESCORED_BY_OBJECT = 8;

    private KnnClause() {}

    /**
     * @param storage how the field's vectors are kept
     * @param nested whether the field lies in nested documents, which k-NN's own filter alone knows to leave for their roots
     * @param vector float32 of the field's dimension
     * @throws org.opensearch.core.common.ParsingException when k-NN is not installed or refuses a value
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
            // k-NN refuses the one and ignores the other there.
            throw new IllegalArgumentException(
                "expected [rescore] of a field that is compressed " + storage.compression() + " times to be an object, such as "
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
            // What is near enough is found whatever the filter; k-NN's own search with both loses some of it.
            return body.filter() == null ? knn : new BoolQueryBuilder().must(knn).filter(body.filter());
        }
        if (body.k() == null) {
            return body.filter() == null ? knn : knn.filter(body.filter());
        }
        // Without a filter faiss counts deleted and replaced documents among the k.
        return knn.filter(body.filter() == null ? new MatchAllQueryBuilder() : body.filter());
    }

    private static void put(Map<String, Object> knn, String key, Object value) {
        if (value != null) {
            knn.put(key, value);
        }
    }
}
