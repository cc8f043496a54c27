package org.mmsearch.encoder;

import java.util.Locale;

import org.opensearch.core.rest.RestStatus;

/** Why a query could not be encoded; each cause has one HTTP status and one counter in the stats. */
public enum EncoderFailure {
    /** The caller's text or picture is not one the encoder takes. */
    INPUT(RestStatus.BAD_REQUEST),
    /** The encoder knows no word of the text. */
    UNREADABLE(RestStatus.BAD_REQUEST),
    /** The encoder is not the one the index was built with. */
    FINGERPRINT(RestStatus.BAD_REQUEST),
    /** More queries wait for the encoder than the queue holds, or Triton says 429. */
    OVERLOADED(RestStatus.TOO_MANY_REQUESTS),
    /** The answer cannot be used: garbage, wrong shape, wrong count, NaN. */
    BAD_ANSWER(RestStatus.BAD_GATEWAY),
    /** No endpoint could be reached, or all their breakers are open. */
    UNREACHABLE(RestStatus.SERVICE_UNAVAILABLE),
    /** Triton is there and does not serve the model that the index names. */
    MODEL_MISSING(RestStatus.SERVICE_UNAVAILABLE),
    /** The answer did not come before the deadline. */
    DEADLINE(RestStatus.GATEWAY_TIMEOUT),
    /** The search was cancelled while it waited. */
    CANCELLED(RestStatus.BAD_REQUEST);

    private final RestStatus status;

    EncoderFailure(RestStatus status) {
        this.status = status;
    }

    /** The HTTP status that a search with this failure answers. */
    public RestStatus status() {
        return status;
    }

    /** The name in the stats and in {@code ext.mmsearch.degraded}, for instance {@code bad_answer}. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
