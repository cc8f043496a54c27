package org.mmsearch.encoder;

import org.opensearch.OpenSearchStatusException;
import org.opensearch.core.rest.RestStatus;

/** Thrown if a query cannot be encoded. It has a cause, which determines the HTTP status, and a message for the caller of the search. */
public final class EncoderException extends OpenSearchStatusException {

    private static final long serialVersionUID = 1L;

    private final EncoderFailure failure;

    /**
     * @param failure the cause, which determines the HTTP status
     * @param message one sentence: what was expected, what was found, how to repair it
     */
    public EncoderException(EncoderFailure failure, String message) {
        this(failure, message, null);
    }

    /**
     * @param failure the cause, which determines the HTTP status
     * @param message one sentence: what was expected, what was found, how to repair it
     * @param cause the network error, or null
     */
    public EncoderException(EncoderFailure failure, String message, Throwable cause) {
        this(failure, failure.status(), message, cause);
    }

    /**
     * @param failure the cause
     * @param status the HTTP status, if it differs from that of the cause
     * @param message one sentence: what was expected, what was found, how to repair it
     * @param cause the network error, or null
     */
    public EncoderException(EncoderFailure failure, RestStatus status, String message, Throwable cause) {
        // The message may contain external text, so it must not be used as the pattern.
        super("{}", status, cause, message);
        this.failure = failure;
    }

    /** Returns the cause. */
    public EncoderFailure failure() {
        return failure;
    }
}
