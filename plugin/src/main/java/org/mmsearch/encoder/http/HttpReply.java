package org.mmsearch.encoder.http;

import java.io.IOException;
import java.util.Locale;
import java.util.Map;

/**
 * One whole answer.
 *
 * @param headers values by lower-case name; a name that came several times has them with commas between
 */
public record HttpReply(int status, Map<String, String> headers, byte[] body) {

    /** The most bytes of a body that are taken: far more than the largest vector with its header, and little enough to be harmless. */
    static final int MAX_BODY_BYTES = 1 << 20;

    /** The body was longer than any answer can be. */
    public static final class TooLong extends IOException {
        private static final long serialVersionUID = 1L;

        TooLong() {
            super("the answer is longer than " + MAX_BODY_BYTES + " bytes");
        }
    }

    /** A header's value, or null. */
    public String header(String name) {
        return headers.get(name.toLowerCase(Locale.ROOT));
    }
}
