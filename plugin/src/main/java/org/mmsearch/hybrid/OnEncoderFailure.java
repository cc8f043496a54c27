package org.mmsearch.hybrid;

import java.util.Arrays;
import java.util.Locale;

/** What a hybrid does if the encoder of a leg fails. */
enum OnEncoderFailure {
    /** The search fails. */
    FAIL,
    /** The search continues without the leg and reports it in the response. */
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
