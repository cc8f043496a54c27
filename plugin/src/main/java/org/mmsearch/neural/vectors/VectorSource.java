package org.mmsearch.neural.vectors;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.function.Consumer;

import org.mmsearch.Deadline;
import org.mmsearch.encoder.EncoderException;
import org.mmsearch.encoder.EncoderFailure;
import org.mmsearch.encoder.EncoderInput;
import org.mmsearch.encoder.EncoderModel;
import org.mmsearch.encoder.service.EncoderService;
import org.mmsearch.encoder.service.EncodingRequest;
import org.mmsearch.neural.fields.RequestFields;
import org.mmsearch.neural.fields.TextToImage;
import org.opensearch.OpenSearchStatusException;
import org.opensearch.action.IndicesRequest;
import org.opensearch.action.support.ContextPreservingActionListener;
import org.opensearch.common.unit.TimeValue;
import org.opensearch.common.util.concurrent.ThreadContext;
import org.opensearch.core.action.ActionListener;
import org.opensearch.core.index.Index;
import org.opensearch.core.rest.RestStatus;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.threadpool.ThreadPool;
import org.opensearch.transport.client.Client;

/** Fetches the parts of a query vector: encoded parts from Triton, stored parts from their documents. */
public final class VectorSource {

    private final NeuralServices services;
    private final IndicesRequest request;
    private final RequestFields fields;
    private final String clause;
    private final String field;
    private final EncoderModel model;
    private final TextToImage textToImage;
    private final String modelId;
    private final Consumer<String> leftOut;

    /**
     * @param request the search with the clause
     * @param fields the vector fields of the searched indices
     * @param clause the clause's name, the prefix of error messages
     * @param model the encoder of the field
     * @param textToImage weighs the vectors of texts without an image, or null to leave them unchanged
     * @param modelId the {@code model_id} of the query, or null if the mapping defines the encoder
     * @param leftOut receives a message for each text that the encoder cannot read
     */
    public VectorSource(
        NeuralServices services,
        IndicesRequest request,
        RequestFields fields,
        String clause,
        String field,
        EncoderModel model,
        TextToImage textToImage,
        String modelId,
        Consumer<String> leftOut
    ) {
        this.services = services;
        this.request = request;
        this.fields = fields;
        this.clause = clause;
        this.field = field;
        this.model = model;
        this.textToImage = textToImage;
        this.modelId = modelId;
        this.leftOut = leftOut;
    }

    /** Returns the vector if all its parts are cached, else null. */
    public float[] cached(QueryVector query) {
        List<float[]> vectors = new ArrayList<>(query.parts().size());
        for (QueryVector.Part part : query.parts()) {
            float[] vector = part.input() == null ? null : cached(part.input());
            if (vector == null) {
                return null;
            }
            vectors.add(weighed(part, vector));
        }
        return query.blend(vectors);
    }

    private float[] cached(EncoderInput input) {
        float[] vector = services.context().vectors().get(new RequestContext.VectorKey(model, input));
        return vector == null ? services.encoder().cached(model, input) : vector;
    }

    /**
     * Fetches the parts and blends them. A text without a word known to the encoder is left out. The query fails if no positive part is
     * left.
     *
     * @param listener called once, with the thread context of this call
     */
    public void fetch(QueryVector query, Client client, ActionListener<float[]> listener) {
        ThreadContext context = client.threadPool().getThreadContext();
        AtomicReferenceArray<EncoderException> unread = new AtomicReferenceArray<>(query.parts().size());
        ActionListener<List<float[]>> blended = ContextPreservingActionListener.wrapPreservingContext(
            ActionListener.map(listener, vectors -> blend(query, vectors, unread)),
            context
        );
        Deadline deadline = services.context().search().deadline();
        GroupedVectorListener group = new GroupedVectorListener(query.parts().size(), blended);
        group.onCompletion(services.context().watch(() -> group.onFailure(Failures.cancelled(clause))));
        for (int i = 0; i < query.parts().size(); i++) {
            int at = i;
            QueryVector.Part part = query.parts().get(i);
            if (part.like() == null) {
                encode(part.input(), at, deadline, group, failure -> {
                    unread.set(at, failure);
                    withoutText(part, at, deadline, group);
                });
            } else {
                group.onCompletion(lateAt(deadline, part.like(), client.threadPool(), group));
                stored(part.like(), client, deadline, ActionListener.wrap(
                    vector -> group.onResponse(at, vector),
                    failure -> group.onFailure(Failures.prefixed(clause, failure))
                ));
            }
        }
    }

    /** @param unread called if the encoder knows no word of the text */
    private void encode(EncoderInput input, int at, Deadline deadline, GroupedVectorListener group, Consumer<EncoderException> unread) {
        Map<RequestContext.VectorKey, float[]> requested = services.context().vectors();
        RequestContext.VectorKey key = new RequestContext.VectorKey(model, input);
        float[] known = requested.get(key);
        if (known != null) {
            group.onResponse(at, known);
            return;
        }
        EncodingRequest encoding = services.encoder().encode(model, input, deadline.leftMillis(), (vector, failure) -> {
            if (failure == null) {
                requested.put(key, vector);
                group.onResponse(at, vector);
            } else if (failure.failure() == EncoderFailure.UNREADABLE) {
                unread.accept(prefixed(failure));
            } else {
                group.onFailure(prefixed(failure));
            }
        });
        group.onCompletion(encoding::cancel);
    }

    private void withoutText(QueryVector.Part part, int at, Deadline deadline, GroupedVectorListener group) {
        EncoderInput picture = part.input().imageAlone();
        if (picture == null) {
            group.onResponse(at, null);
        } else {
            encode(picture, at, deadline, group, group::onFailure);
        }
    }

    private float[] blend(QueryVector query, List<float[]> vectors, AtomicReferenceArray<EncoderException> unread) {
        QueryVector rest = query.where(part -> vectors.get(part) != null);
        boolean something = rest.parts().isEmpty() == false && rest.parts().get(0).weight() > 0;
        for (int part = 0; part < unread.length(); part++) {
            if (unread.get(part) != null) {
                if (something == false) {
                    throw unread.get(part);
                }
                String text = query.parts().get(part).weight() < 0 ? "negative_text" : "query_text";
                leftOut.accept(text + " is left out, because the encoder " + model.label() + " knows no word of it");
            }
        }
        List<float[]> weighed = new ArrayList<>(rest.parts().size());
        for (int part = 0; part < vectors.size(); part++) {
            if (vectors.get(part) != null) {
                weighed.add(weighed(query.parts().get(part), vectors.get(part)));
            }
        }
        return rest.blend(weighed);
    }

    /** A picture is compared with pictures and a document with documents: only the vector of a text alone is weighed. */
    private float[] weighed(QueryVector.Part part, float[] vector) {
        boolean words = part.input() != null && part.input().imageDigest().isEmpty();
        return words && textToImage != null ? textToImage.weighed(vector) : vector;
    }

    private EncoderException prefixed(EncoderException failure) {
        boolean named = modelId != null && failure.failure() == EncoderFailure.MODEL_MISSING;
        // An unknown model_id is a client error: clients would retry a 503 on another node.
        RestStatus status = named ? RestStatus.NOT_FOUND : failure.status();
        String of = named ? "] model_id [" + modelId + "]: " : "] field [" + field + "]: ";
        return new EncoderException(failure.failure(), status, "[" + clause + of + failure.getMessage(), failure.getCause());
    }

    /** Fails at the search's deadline, because the get API has no timeout. */
    private Runnable lateAt(Deadline deadline, LikeDocument like, ThreadPool threads, GroupedVectorListener group) {
        if (deadline.exists() == false) {
            return () -> {};
        }
        long millis = deadline.leftMillis();
        Exception late = new OpenSearchStatusException(
            "{}",
            RestStatus.GATEWAY_TIMEOUT,
            "[" + clause + "] like: expected the vector of [" + like.id() + "] within the search's timeout, got none after " + millis
                + " ms: raise the timeout, or check the load of the document's shard"
        );
        return threads.schedule(() -> group.onFailure(late), TimeValue.timeValueMillis(millis), EncoderService.POOL)::cancel;
    }

    private void stored(LikeDocument like, Client client, Deadline deadline, ActionListener<float[]> listener) {
        String index;
        QueryBuilder rules = null;
        try {
            index = likeIndex(like);
            if (services.vectors().rulesInRequest()) {
                rules = rulesOf(index);
            }
        } catch (IllegalArgumentException e) {
            listener.onFailure(e);
            return;
        }
        StoredVector vector = new StoredVector(client, services.context().task(), deadline, index, like, field, model.dimension());
        if (rules == null) {
            vector.get(listener);
        } else {
            vector.find(rules, listener);
        }
    }

    /**
     * Returns the document-level security rules to filter by. The security plugin does not filter a get whose request carries its own
     * rules.
     */
    private QueryBuilder rulesOf(String index) {
        QueryBuilder rules = services.vectors().allowed(request, null);
        Index[] indices = fields.indices();
        if (rules == null || indices.length != 1 || indices[0].getName().equals(index) == false) {
            throw new IllegalArgumentException(
                "expected the document of like in the only index of the request, got one in [" + index
                    + "]: your role has rules with a terms lookup, which are known for that index only"
            );
        }
        return rules;
    }

    private String likeIndex(LikeDocument like) {
        if (like.index() != null) {
            return like.index();
        }
        Index[] indices = fields.indices();
        if (indices.length != 1) {
            throw new IllegalArgumentException(
                "like requires _index if a request searches several indices, got " + indices.length + " indices: add it"
            );
        }
        return indices[0].getName();
    }
}
