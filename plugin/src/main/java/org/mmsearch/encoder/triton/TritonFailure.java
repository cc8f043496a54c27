package org.mmsearch.encoder.triton;

import java.io.IOException;
import java.net.ProtocolException;

import javax.net.ssl.SSLException;

import org.mmsearch.encoder.EncoderException;
import org.mmsearch.encoder.EncoderFailure;
import org.mmsearch.encoder.EncoderModel;
import org.mmsearch.encoder.EncoderSettings;
import org.mmsearch.encoder.http.HttpReply;

/**
 * Converts network errors and error responses of Triton to {@link EncoderException}. The message is part of the search response, so it
 * contains neither Triton's address nor the network error, which includes the address. Operators find both in the stats and in the log.
 */
final class TritonFailure {

    /** Prefix of the error for a text without a known word, as in {@code serving/words.py}. */
    private static final String UNREADABLE = "unreadable_text:";

    private TritonFailure() {}

    /** Returns the failure for a call without a response. */
    static EncoderException of(EncoderModel model, Throwable error) {
        if (error instanceof ProtocolException || error instanceof HttpReply.TooLong) {
            return new EncoderException(
                EncoderFailure.BAD_ANSWER,
                "expected a response of " + model.label() + " from Triton, got one that is not valid HTTP/1.1 or too long; correct "
                    + EncoderSettings.ENDPOINTS.getKey()
            );
        }
        String how = error instanceof SSLException ? "TLS failed" : lostConnection(error) ? "no connection" : "the call failed";
        return new EncoderException(
            EncoderFailure.UNREACHABLE,
            "the encoder cannot be reached: " + how + "; start Triton, or correct " + EncoderSettings.ENDPOINTS.getKey()
        );
    }

    /** Returns the failure for a response whose status is not 200. */
    static EncoderException of(EncoderModel model, HttpReply reply) {
        int status = reply.status();
        String detail = InferReply.error(reply.body());
        return switch (status) {
            case 400, 413 -> refused(model, detail);
            case 404 -> new EncoderException(
                EncoderFailure.MODEL_MISSING,
                "Triton does not serve " + model.label() + ": " + detail + "; load that model and version"
            );
            case 429 -> new EncoderException(
                EncoderFailure.OVERLOADED,
                "the encoder is overloaded: " + detail + "; retry later"
            );
            case 503 -> new EncoderException(
                EncoderFailure.UNREACHABLE,
                "the encoder is not available: " + detail + "; check that " + model.label() + " is loaded"
            );
            default -> new EncoderException(
                EncoderFailure.BAD_ANSWER,
                "expected vectors of " + model.label() + " from Triton, got HTTP " + status + ": " + detail
            );
        };
    }

    private static EncoderException refused(EncoderModel model, String detail) {
        if (detail.contains(UNREADABLE)) {
            return new EncoderException(
                EncoderFailure.UNREADABLE,
                "expected a text with words that the encoder " + model.label() + " knows, got none; add a picture, or serve a model of "
                    + "that language"
            );
        }
        return new EncoderException(EncoderFailure.INPUT, "the encoder " + model.label() + " refused the query: " + detail);
    }

    /** Returns the type and message of a network error, for operators. */
    static String words(Throwable error) {
        return error.getMessage() == null ? error.getClass().getSimpleName() : error.getClass().getSimpleName() + ": " + error.getMessage();
    }

    /** Returns whether the connection failed or was lost, so that a retry is safe. */
    static boolean lostConnection(Throwable error) {
        if (error instanceof ProtocolException || error instanceof HttpReply.TooLong || error instanceof SSLException) {
            return false;
        }
        return error instanceof IOException;
    }
}
