package org.mmsearch.encoder.http;

import java.io.IOException;
import java.util.Locale;
import java.util.Map;

/**
 * A complete HTTP response.
 *
 * @param status the status code
 * @param headers values by lower-case name; the values of a repeated header are joined with commas
 * @param body the complete body
 */
public record HttpReply(int status, Map<String, String> headers, byte[] body) {

    /** Maximum size of a body in bytes: much larger than any vector, small enough to protect the heap. */
    static final int MAX_BODY_BYTES = 1 << 20;

    /** Thrown if the body exceeds {@link #MAX_BODY_BYTES}. */
    public static final class TooLong extends IOException {
        private static final long serialVersionUID = 1L;

        TooLong() {
            super("the response is longer than " + MAX_BODY_BYTES + " bytes");
        }
    }

    /** Returns the value of a header, in any case, or null if it is absent. */
    public String header(String name) {
        return headers.get(name.toLowerCase(Locale.ROOT));
    }
}
