package org.mmsearch.hybrid;

import java.util.Arrays;
import java.util.Locale;

/** What a hybrid does when the encoder of one of its queries fails. */
enum OnEncoderFailure {
    /** Fails with it. */
    FAIL,
    /** Answers with the other queries and says so. */
    SKIP;

    String json() {
        return name().toLowerCase(Locale.ROOT);
    }

    static OnEncoderFailure of(String json) {
        for (OnEncoderFailure choice : values()) {
            if (choice.json().equals(json)) {
                return choice;
            }
        }
        throw new IllegalArgumentException(
            "expected [on_encoder_failure] to be one of "
                + Arrays.stream(values()).map(OnEncoderFailure::json).toList()
                + ", got ["
                + json
                + "]"
        );
    }
}
