package org.mmsearch.fusion;

import java.io.IOException;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.common.io.stream.Writeable;

/**
 * A lower or upper bound of {@code min_max} normalization, specified by the user instead of taken from the leg's own scores.
 *
 * @param mode how the bound treats scores outside it
 * @param score the bounding score
 */
public record Bound(Mode mode, float score) implements Writeable {

    /** How a bound treats scores outside it. */
    public enum Mode {
        /** Scores inside the bound are normalized with the bound, scores outside it with the leg's own minimum or maximum. */
        APPLY,
        /** All scores are normalized with the bound, and scores outside it are clipped to it. */
        CLIP,
        /** The bound is not used: scores are normalized with the leg's own minimum or maximum. */
        IGNORE;

        static Mode of(Object name) {
            for (Mode mode : values()) {
                if (mode.name().toLowerCase(Locale.ROOT).equals(name)) {
                    return mode;
                }
            }
            throw new IllegalArgumentException(
                "[fusion] expected a bound's mode of "
                    + Arrays.stream(values()).map(m -> m.name().toLowerCase(Locale.ROOT)).toList()
                    + ", got ["
                    + name
                    + "]"
            );
        }
    }

    Bound(StreamInput in) throws IOException {
        this(in.readEnum(Mode.class), in.readFloat());
    }

    @Override
    public void writeTo(StreamOutput out) throws IOException {
        out.writeEnum(mode);
        out.writeFloat(score);
    }

    /** Returns the minimum to normalize the score {@code own} with, if the leg's scores range from {@code min} to {@code max}. */
    float lower(float own, float min, float max) {
        return switch (mode) {
            case APPLY -> max > score && own > score ? score : min;
            case CLIP -> max < score ? min : score;
            case IGNORE -> min;
        };
    }

    /** Returns the maximum to normalize the score {@code own} with, if the leg's scores range from {@code min} to {@code max}. */
    float upper(float own, float min, float max) {
        return switch (mode) {
            case APPLY -> min < score && own < score ? score : max;
            case CLIP -> min > score ? max : score;
            case IGNORE -> max;
        };
    }

    boolean clips() {
        return mode == Mode.CLIP;
    }

    Map<String, Object> asMap(String scoreKey) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("mode", mode.name().toLowerCase(Locale.ROOT));
        map.put(scoreKey, score);
        return map;
    }
}
