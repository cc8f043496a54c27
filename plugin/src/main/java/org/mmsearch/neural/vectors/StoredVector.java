package org.mmsearch.neural.vectors;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

import org.opensearch.OpenSearchStatusException;
import org.opensearch.action.get.GetRequest;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.common.document.DocumentField;
import org.opensearch.common.xcontent.support.XContentMapValues;
import org.opensearch.core.action.ActionListener;
import org.opensearch.core.rest.RestStatus;
import org.opensearch.index.query.BoolQueryBuilder;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryBuilders;
import org.opensearch.search.SearchHit;
import org.opensearch.search.builder.SearchSourceBuilder;
import org.opensearch.search.fetch.subphase.FetchSourceContext;
import org.opensearch.transport.client.Client;

/** Gets the vector that a document was indexed with, with the caller's permissions. */
final class StoredVector {

    private StoredVector() {}

    /**
     * @param index where the document is
     * @param dimension the length that the vector must have
     * @param listener called once: float32 [dimension], or a 400 that says what is missing
     */
    static void get(
        Client client,
        String index,
        LikeDocument like,
        String field,
        int dimension,
        ActionListener<float[]> listener
    ) {
        GetRequest get = new GetRequest(index, like.id()).routing(like.routing())
            .fetchSourceContext(new FetchSourceContext(true, new String[] { field }, null));
        client.get(get, ActionListener.wrap(response -> {
            Map<String, Object> source = response.isSourceEmpty() ? Map.of() : response.getSourceAsMap();
            if (response.isExists() && XContentMapValues.extractValue(field, source) == null) {
                // A copy of the source without the vector, or none at all.
                find(client, index, like, field, dimension, null, listener);
                return;
            }
            listener.onResponse(vector(response.isExists() ? source : null, response.getIndex(), like, field, dimension));
        }, listener::onFailure));
    }

    /**
     * As {@link #get}, by a search: out of the index, or out of the source where the index holds vectors of nested objects.
     *
     * @param rules what the search is filtered by, or null
     */
    static void find(
        Client client,
        String index,
        LikeDocument like,
        String field,
        int dimension,
        QueryBuilder rules,
        ActionListener<float[]> listener
    ) {
        SearchSourceBuilder indexed = one(like, rules).fetchSource(false).ext(List.of(new IndexedVectorExt(field)));
        search(client, index, like, indexed, ActionListener.wrap(hit -> {
            DocumentField vector = hit == null ? null : hit.field(IndexedVectorExt.NAME);
            if (vector != null) {
                listener.onResponse(indexed(vector, index, like, dimension));
            } else if (hit == null) {
                listener.onResponse(vector(null, index, like, field, dimension));
            } else {
                fromSource(client, index, like, field, dimension, rules, listener);
            }
        }, listener::onFailure));
    }

    private static void fromSource(
        Client client,
        String index,
        LikeDocument like,
        String field,
        int dimension,
        QueryBuilder rules,
        ActionListener<float[]> listener
    ) {
        // All of the source: an index without one refuses to give a part of it.
        SearchSourceBuilder stored = one(like, rules).fetchSource(true);
        search(client, index, like, stored, ActionListener.map(listener, hit -> {
            Map<String, Object> source = hit == null ? null : hit.hasSource() ? hit.getSourceAsMap() : Map.of();
            return vector(source, index, like, field, dimension);
        }));
    }

    private static SearchSourceBuilder one(LikeDocument like, QueryBuilder rules) {
        BoolQueryBuilder one = QueryBuilders.boolQuery().filter(QueryBuilders.idsQuery().addIds(like.id()));
        return new SearchSourceBuilder().query(rules == null ? one : one.filter(rules)).size(1).trackTotalHits(false);
    }

    /** @param listener is given the hit, or null */
    private static void search(
        Client client,
        String index,
        LikeDocument like,
        SearchSourceBuilder source,
        ActionListener<SearchHit> listener
    ) {
        SearchRequest find = new SearchRequest(index).routing(like.routing()).source(source).pipeline("_none");
        client.search(find, ActionListener.map(listener, response -> {
            SearchHit[] hits = response.getHits().getHits();
            return hits.length == 0 ? null : hits[0];
        }));
    }

    private static float[] vector(Map<String, Object> source, String index, LikeDocument like, String field, int dimension) {
        String document = "[" + index + "/" + like.id() + "]";
        if (source == null) {
            throw missing("there is no document " + document, "its _id, and its routing where it has one");
        }
        Object value = XContentMapValues.extractValue(field, source);
        if (value instanceof List<?> list && list.isEmpty() == false) {
            return list.get(0) instanceof List<?> ? mean(list, dimension, document) : floats(list, dimension, document);
        }
        throw missing("the document " + document + " has no vector in [" + field + "]", "a document that has one");
    }

    private static float[] indexed(DocumentField field, String index, LikeDocument like, int dimension) {
        float[] vector = field.getValue();
        if (vector.length != dimension) {
            throw missing("the document [" + index + "/" + like.id() + "] has a vector of " + vector.length + " numbers", dimension + " numbers");
        }
        return vector;
    }

    /** Nested objects each have a vector: the document's is the mean of their unit vectors. */
    private static float[] mean(List<?> nested, int dimension, String document) {
        List<QueryVector.Part> parts = new ArrayList<>();
        List<float[]> vectors = new ArrayList<>();
        for (Object vector : nested) {
            parts.add(new QueryVector.Part(1, null, null));
            vectors.add(floats((List<?>) vector, dimension, document));
        }
        return new QueryVector(parts).blend(vectors);
    }

    private static float[] floats(List<?> list, int dimension, String document) {
        if (list.size() != dimension) {
            throw missing("the document " + document + " has a vector of " + list.size() + " numbers", dimension + " numbers");
        }
        float[] vector = new float[dimension];
        for (int i = 0; i < dimension; i++) {
            if (!(list.get(i) instanceof Number number)) {
                throw missing("the document " + document + " has [" + list.get(i) + "] in its vector", "numbers");
            }
            vector[i] = number.floatValue();
        }
        return vector;
    }

    private static OpenSearchStatusException missing(String got, String expected) {
        return new OpenSearchStatusException("{}", RestStatus.BAD_REQUEST, "like: " + got + "; expected " + expected);
    }
}
