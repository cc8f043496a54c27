package org.mmsearch.encoder;

import java.util.Locale;

import org.opensearch.core.rest.RestStatus;

/** The causes of failed encodings. Each cause has an HTTP status and a counter in the stats. */
public enum EncoderFailure {
    /** The encoder does not accept the text or image. */
    INPUT(RestStatus.BAD_REQUEST),
    /** The encoder knows no word of the text. */
    UNREADABLE(RestStatus.BAD_REQUEST),
    /** The encoder differs from the one that the index was built with. */
    FINGERPRINT(RestStatus.BAD_REQUEST),
    /** The queue is full, or Triton responded with 429. */
    OVERLOADED(RestStatus.TOO_MANY_REQUESTS),
    /** The response is invalid: malformed, wrong shape, wrong number of outputs, NaN. */
    BAD_ANSWER(RestStatus.BAD_GATEWAY),
    /** No endpoint can be reached, or the breakers of all endpoints are open. */
    UNREACHABLE(RestStatus.SERVICE_UNAVAILABLE),
    /** Triton does not serve the model that the query or the index specifies. */
    MODEL_MISSING(RestStatus.SERVICE_UNAVAILABLE),
    /** The response did not arrive before the deadline. */
    DEADLINE(RestStatus.GATEWAY_TIMEOUT),
    /** The search was cancelled while it waited for the vector. */
    CANCELLED(RestStatus.BAD_REQUEST);

    private final RestStatus status;

    EncoderFailure(RestStatus status) {
        this.status = status;
    }

    /** Returns the HTTP status of a search that fails with this cause. */
    public RestStatus status() {
        return status;
    }

    /** Returns the name in the stats and in {@code ext.mmsearch.degraded}, such as {@code bad_answer}. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
