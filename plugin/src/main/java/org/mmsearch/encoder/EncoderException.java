package org.mmsearch.encoder;

import org.opensearch.OpenSearchStatusException;
import org.opensearch.core.rest.RestStatus;

/** A query that could not be encoded: the cause told apart, the message for the caller. */
public final class EncoderException extends OpenSearchStatusException {

    private static final long serialVersionUID = 1L;

    private final EncoderFailure failure;

    /**
     * @param failure what went wrong; it decides the HTTP status
     * @param message one sentence: expected, got, repair
     */
    public EncoderException(EncoderFailure failure, String message) {
        this(failure, message, null);
    }

    /**
     * @param failure what went wrong; it decides the HTTP status
     * @param message one sentence: expected, got, repair
     * @param cause what the network said, or null
     */
    public EncoderException(EncoderFailure failure, String message, Throwable cause) {
        this(failure, failure.status(), message, cause);
    }

    /**
     * @param failure what went wrong
     * @param status where it is another one than the failure's
     * @param message one sentence: expected, got, repair
     * @param cause what the network said, or null
     */
    public EncoderException(EncoderFailure failure, RestStatus status, String message, Throwable cause) {
        // The message holds text from outside: it is an argument, never the pattern.
        super("{}", status, cause, message);
        this.failure = failure;
    }

    /** What went wrong. */
    public EncoderFailure failure() {
        return failure;
    }
}
