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
 * An end of the range that min_max maps to 0 or 1, named by the user instead of taken from the leg's own hits.
 *
 * @param mode what happens to scores beyond it
 * @param score the end
 */
public record Bound(Mode mode, float score) implements Writeable {

    /** What a bound does. */
    public enum Mode {
        /** The bound is the end for scores inside it, the leg's own end for scores beyond it. */
        APPLY,
        /** The bound is the end, and scores beyond it are put on it. */
        CLIP,
        /** The leg's own end counts. */
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

    /** The lower end for a score of a leg whose scores lie between min and max. */
    float lower(float own, float min, float max) {
        return switch (mode) {
            case APPLY -> max > score && own > score ? score : min;
            case CLIP -> max < score ? min : score;
            case IGNORE -> min;
        };
    }

    /** The upper end for a score of a leg whose scores lie between min and max. */
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
