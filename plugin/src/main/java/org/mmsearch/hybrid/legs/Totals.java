package org.mmsearch.hybrid.legs;

import java.util.Arrays;
import java.util.Locale;

/** Over what a hybrid's totals and facets count. */
public enum Totals {
    /** The fused window: exactly what can be paged through. */
    WINDOW,
    /** Every document that any leg matches; those outside the window rank behind it, with score 0. */
    ALL;

    /** @return the name in requests */
    public String json() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** Reads the name in requests. */
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
