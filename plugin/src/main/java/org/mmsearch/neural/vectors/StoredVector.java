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

/** Reads the stored vector of a document with the caller's permissions. */
final class StoredVector {

    private final Client client;
    private final TaskId parent;
    private final Deadline deadline;
    private final String index;
    private final LikeDocument like;
    private final String field;
    private final int dimension;

    /**
     * @param parent the task of the search, or null
     * @param deadline the deadline of the search
     * @param index the index of the document
     * @param like the document
     * @param field the vector field
     * @param dimension the required dimension of the vector
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

    /**
     * Reads the vector by the get API.
     *
     * @param listener called once with float32 [dimension], or with a 400 that names the missing part
     */
    void get(ActionListener<float[]> listener) {
        GetRequest get = new GetRequest(index, like.id()).routing(like.routing())
            .fetchSourceContext(new FetchSourceContext(true, new String[] { field }, null));
        client.get(of(get), ActionListener.wrap(response -> {
            Map<String, Object> source = response.isSourceEmpty() ? Map.of() : response.getSourceAsMap();
            if (response.isExists() && XContentMapValues.extractValue(field, source) == null) {
                // The vector is not in _source, or _source is disabled.
                find(null, listener);
                return;
            }
            listener.onResponse(vector(response.isExists() ? source : null, response.getIndex()));
        }, listener::onFailure));
    }

    /**
     * Reads the vector by a search: from the index or, for nested objects, from {@code _source}.
     *
     * @param rules the filter of the search, or null
     * @param listener as for {@link #get}
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
        // Request the whole source: if it is disabled, OpenSearch rejects requests for a part of it.
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

    /** @param listener receives the hit, or null */
    private void search(SearchSourceBuilder source, ActionListener<SearchHit> listener) {
        SearchRequest find = new SearchRequest(index).routing(like.routing())
            // With segment replication, replicas may lack refreshed documents.
            .preference(Preference.PRIMARY_FIRST.type())
            .source(source)
            .pipeline("_none")
            .allowPartialSearchResults(true);
        // The surrounding search limits its time and cancels it.
        find.setCancelAfterTimeInterval(SearchService.NO_TIMEOUT);
        client.search(of(find), ActionListener.map(listener, response -> {
            SearchHit[] hits = response.getHits().getHits();
            return hits.length == 0 ? none(response) : hits[0];
        }));
    }

    /** Returns null if all shards responded. Otherwise fails, because a missing shard may have the document. */
    private SearchHit none(SearchResponse response) {
        String looked = "like: expected all shards of [" + index + "] to search for [" + like.id() + "], got ";
        if (response.getShardFailures().length > 0) {
            throw new SearchPhaseExecutionException(
                SearchPhaseName.QUERY.getName(),
                looked + response.getShardFailures().length + " failed",
                response.getShardFailures()
            );
        }
        if (response.isTimedOut()) {
            throw new OpenSearchStatusException("{}", RestStatus.GATEWAY_TIMEOUT, looked + "a timeout: raise the timeout of the search");
        }
        int unavailable = response.getTotalShards() - response.getSuccessfulShards();
        if (unavailable > 0) {
            throw new OpenSearchStatusException("{}", RestStatus.SERVICE_UNAVAILABLE, looked + unavailable + " unavailable");
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
            throw missing("there is no document " + document, "its _id and, if it has one, its routing");
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

    /** Returns the mean of the unit vectors of nested objects. */
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
