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
 * Turns an error of the network or an answer of Triton into the cause that the caller gets. Callers are searchers, whom it does not concern
 * where Triton is: neither an address nor the network's own words, which have it, are in a failure. Operators find both in the stats and
 * in the node's log.
 */
final class TritonFailure {

    /** How the served encoders begin their refusal of a text of which they know no word; {@code serving/words.py} has the same. */
    private static final String UNREADABLE = "unreadable_text:";

    private TritonFailure() {}

    /** Of an exchange that gave no answer. */
    static EncoderException of(EncoderModel model, Throwable error) {
        if (error instanceof ProtocolException || error instanceof HttpReply.TooLong) {
            return new EncoderException(
                EncoderFailure.BAD_ANSWER,
                "expected an answer of " + model.label() + ", and what listens there does not speak as Triton does; correct "
                    + EncoderSettings.ENDPOINTS.getKey()
            );
        }
        String how = error instanceof SSLException ? "TLS failed" : lostConnection(error) ? "no connection" : "the call failed";
        return new EncoderException(
            EncoderFailure.UNREACHABLE,
            "the encoder cannot be reached: " + how + "; start Triton, or correct " + EncoderSettings.ENDPOINTS.getKey()
        );
    }

    /** Of an answer with another status than 200. */
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
                "the encoder has more than it can do: " + detail + "; ask again later"
            );
            case 503 -> new EncoderException(
                EncoderFailure.UNREACHABLE,
                "the encoder is not available: " + detail + "; look whether " + model.label() + " is loaded"
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

    /** What happened, for operators: the network's own words. */
    static String words(Throwable error) {
        return error.getMessage() == null ? error.getClass().getSimpleName() : error.getClass().getSimpleName() + ": " + error.getMessage();
    }

    /** Whether the connection could not be made or broke, so that the call may be made again. */
    static boolean lostConnection(Throwable error) {
        if (error instanceof ProtocolException || error instanceof HttpReply.TooLong || error instanceof SSLException) {
            return false;
        }
        return error instanceof IOException;
    }
}
