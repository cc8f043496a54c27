package org.mmsearch.neural.vectors;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

import org.mmsearch.Deadline;
import org.opensearch.OpenSearchStatusException;
import org.opensearch.action.ActionRequest;
import org.opensearch.action.get.GetRequest;
import org.opensearch.action.search.SearchPhaseExecutionException;
import org.opensearch.action.search.SearchPhaseName;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.cluster.routing.Preference;
import org.opensearch.common.document.DocumentField;
import org.opensearch.common.xcontent.support.XContentMapValues;
import org.opensearch.core.action.ActionListener;
import org.opensearch.core.rest.RestStatus;
import org.opensearch.core.tasks.TaskId;
import org.opensearch.index.query.BoolQueryBuilder;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryBuilders;
import org.opensearch.search.SearchHit;
import org.opensearch.search.SearchService;
import org.opensearch.search.builder.SearchSourceBuilder;
import org.opensearch.search.fetch.subphase.FetchSourceContext;
import org.opensearch.transport.client.Client;

/** Gets the vector that a document was indexed with, with the caller's permissions. */
final class StoredVector {

    private final Client client;
    private final TaskId parent;
    private final Deadline deadline;
    private final String index;
    private final LikeDocument like;
    private final String field;
    private final int dimension;

    /**
     * @param parent task of the search, or null
     * @param deadline of the search
     * @param index where the document is
     * @param like the document
     * @param field its vector
     * @param dimension the length that the vector must have
     */
    StoredVector(Client client, TaskId parent, Deadline deadline, String index, LikeDocument like, String field, int dimension) {
        this.client = client;
        this.parent = parent;
        this.deadline = deadline;
        this.index = index;
        this.like = like;
        this.field = field;
        this.dimension = dimension;
    }

    /** @param listener called once: float32 [dimension], or a 400 that says what is missing */
    void get(ActionListener<float[]> listener) {
        GetRequest get = new GetRequest(index, like.id()).routing(like.routing())
            .fetchSourceContext(new FetchSourceContext(true, new String[] { field }, null));
        client.get(of(get), ActionListener.wrap(response -> {
            Map<String, Object> source = response.isSourceEmpty() ? Map.of() : response.getSourceAsMap();
            if (response.isExists() && XContentMapValues.extractValue(field, source) == null) {
                // A copy of the source without the vector, or none at all.
                find(null, listener);
                return;
            }
            listener.onResponse(vector(response.isExists() ? source : null, response.getIndex()));
        }, listener::onFailure));
    }

    /**
     * As {@link #get}, by a search: out of the index, or out of the source where the index holds vectors of nested objects.
     *
     * @param rules what the search is filtered by, or null
     */
    void find(QueryBuilder rules, ActionListener<float[]> listener) {
        SearchSourceBuilder indexed = one(rules).fetchSource(false).ext(List.of(new IndexedVectorExt(field)));
        search(indexed, ActionListener.wrap(hit -> {
            DocumentField vector = hit == null ? null : hit.field(IndexedVectorExt.NAME);
            if (vector != null) {
                listener.onResponse(indexed(vector));
            } else if (hit == null) {
                listener.onResponse(vector(null, index));
            } else {
                fromSource(rules, listener);
            }
        }, listener::onFailure));
    }

    private void fromSource(QueryBuilder rules, ActionListener<float[]> listener) {
        // All of the source: an index without one refuses to give a part of it.
        SearchSourceBuilder stored = one(rules).fetchSource(true);
        search(stored, ActionListener.map(listener, hit -> {
            Map<String, Object> source = hit == null ? null : hit.hasSource() ? hit.getSourceAsMap() : Map.of();
            return vector(source, index);
        }));
    }

    private SearchSourceBuilder one(QueryBuilder rules) {
        BoolQueryBuilder one = QueryBuilders.boolQuery().filter(QueryBuilders.idsQuery().addIds(like.id()));
        return new SearchSourceBuilder().query(rules == null ? one : one.filter(rules)).size(1).trackTotalHits(false)
            .timeout(deadline.left());
    }

    /** @param listener is given the hit, or null */
    private void search(SearchSourceBuilder source, ActionListener<SearchHit> listener) {
        SearchRequest find = new SearchRequest(index).routing(like.routing())
            // A copy that is filled by segments may not have what was refreshed.
            .preference(Preference.PRIMARY_FIRST.type())
            .source(source)
            .pipeline("_none")
            .allowPartialSearchResults(true);
        // It ends with the search that it is part of, not by a time of its own.
        find.setCancelAfterTimeInterval(SearchService.NO_TIMEOUT);
        client.search(of(find), ActionListener.map(listener, response -> {
            SearchHit[] hits = response.getHits().getHits();
            return hits.length == 0 ? none(response) : hits[0];
        }));
    }

    /** A shard that has not answered, or not in time, may have the document. */
    private SearchHit none(SearchResponse response) {
        String looked = "like: expected all shards of [" + index + "] to say whether they have [" + like.id() + "], got ";
        if (response.getShardFailures().length > 0) {
            throw new SearchPhaseExecutionException(
                SearchPhaseName.QUERY.getName(),
                looked + response.getShardFailures().length + " that failed",
                response.getShardFailures()
            );
        }
        if (response.isTimedOut()) {
            throw new OpenSearchStatusException("{}", RestStatus.GATEWAY_TIMEOUT, looked + "some that were too late: raise the search's timeout");
        }
        int unavailable = response.getTotalShards() - response.getSuccessfulShards();
        if (unavailable > 0) {
            throw new OpenSearchStatusException("{}", RestStatus.SERVICE_UNAVAILABLE, looked + unavailable + " that are not available");
        }
        return null;
    }

    private <Request extends ActionRequest> Request of(Request request) {
        if (parent != null) {
            request.setParentTask(parent);
        }
        return request;
    }

    private float[] vector(Map<String, Object> source, String from) {
        String document = "[" + from + "/" + like.id() + "]";
        if (source == null) {
            throw missing("there is no document " + document, "its _id, and its routing where it has one");
        }
        Object value = XContentMapValues.extractValue(field, source);
        if (value instanceof List<?> list && list.isEmpty() == false) {
            return list.get(0) instanceof List<?> ? mean(list, document) : floats(list, document);
        }
        throw missing("the document " + document + " has no vector in [" + field + "]", "a document that has one");
    }

    private float[] indexed(DocumentField found) {
        float[] vector = found.getValue();
        if (vector.length != dimension) {
            throw missing("the document [" + index + "/" + like.id() + "] has a vector of " + vector.length + " numbers", dimension + " numbers");
        }
        return vector;
    }

    /** Nested objects each have a vector: the document's is the mean of their unit vectors. */
    private float[] mean(List<?> nested, String document) {
        List<QueryVector.Part> parts = new ArrayList<>();
        List<float[]> vectors = new ArrayList<>();
        for (Object vector : nested) {
            parts.add(new QueryVector.Part(1, null, null));
            vectors.add(floats((List<?>) vector, document));
        }
        return new QueryVector(parts).blend(vectors);
    }

    private float[] floats(List<?> list, String document) {
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
