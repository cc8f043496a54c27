package org.mmsearch.hybrid.legs;

import java.util.Arrays;
import java.util.Locale;

/** Which documents a hybrid's total hits and aggregations count. */
public enum Totals {
    /** The fused hits, which are the hits that can be paged through. */
    WINDOW,
    /** All documents that any leg matches. Documents outside the window rank last, with score 0. */
    ALL;

    /** Returns the name in requests. */
    public String json() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** Parses the name in requests. */
    public static Totals of(String json) {
        for (Totals totals : values()) {
            if (totals.json().equals(json)) {
                return totals;
            }
        }
        throw new IllegalArgumentException(
            "expected [totals] to be one of " + Arrays.stream(values()).map(Totals::json).toList() + ", got [" + json + "]"
        );
    }
}
