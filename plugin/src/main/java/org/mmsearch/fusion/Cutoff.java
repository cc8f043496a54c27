package org.mmsearch.fusion;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.common.io.stream.Writeable;

/**
 * Cuts a ranked list before the first hit that violates one of these limits. Each limit is optional and null if absent.
 *
 * @param relativeMax minimum score as a fraction of the best score, in (0, 1]
 * @param gap maximum difference between consecutive scores, as a fraction of the best score, in (0, 1]
 * @param minScore minimum score
 */
public record Cutoff(Float relativeMax, Float gap, Float minScore) implements Writeable {

    /** No cut-off. */
    public static final Cutoff NONE = new Cutoff(null, null, null);

    /** Reads a cut-off from a stream. */
    public Cutoff(StreamInput in) throws IOException {
        this(in.readOptionalFloat(), in.readOptionalFloat(), in.readOptionalFloat());
    }

    @Override
    public void writeTo(StreamOutput out) throws IOException {
        out.writeOptionalFloat(relativeMax);
        out.writeOptionalFloat(gap);
        out.writeOptionalFloat(minScore);
    }

    /**
     * Parses a cut-off.
     *
     * @param object {@code relative_max}, {@code gap} and {@code min_score}, all optional
     * @throws IllegalArgumentException if a key is unknown or a value is out of range
     */
    public static Cutoff parse(Map<String, Object> object) {
        for (String key : object.keySet()) {
            if (List.of("relative_max", "gap", "min_score").contains(key) == false) {
                throw new IllegalArgumentException("[cutoff] does not support [" + key + "]");
            }
        }
        return new Cutoff(share(object, "relative_max"), share(object, "gap"), number(object, "min_score"));
    }

    private static Float share(Map<String, Object> object, String key) {
        Float value = number(object, key);
        if (value != null && (value > 0 && value <= 1) == false) {
            throw new IllegalArgumentException("[cutoff] expected [" + key + "] in (0, 1], got [" + value + "]");
        }
        return value;
    }

    private static Float number(Map<String, Object> object, String key) {
        Object value = object.get(key);
        if (value == null) {
            return null;
        }
        if (value instanceof Number number && Float.isFinite(number.floatValue())) {
            return number.floatValue();
        }
        throw new IllegalArgumentException("[cutoff] expected a number in [" + key + "], got [" + value + "]");
    }

    /** Returns whether all limits are absent. */
    public boolean isNone() {
        return relativeMax == null && gap == null && minScore == null;
    }

    /**
     * Returns the hits before the first one that violates a limit.
     *
     * @param hits the hits by descending score
     */
    public List<FusedHit> cut(List<FusedHit> hits) {
        if (isNone() || hits.isEmpty()) {
            return hits;
        }
        float best = hits.get(0).score();
        for (int i = 0; i < hits.size(); i++) {
            float score = hits.get(i).score();
            boolean tooFar = relativeMax != null && score < relativeMax * best;
            boolean tooLow = minScore != null && score < minScore;
            boolean fallen = gap != null && i > 0 && hits.get(i - 1).score() - score > gap * best;
            if (tooFar || tooLow || fallen) {
                return hits.subList(0, i);
            }
        }
        return hits;
    }

    /** Returns the JSON object that {@link #parse} reads. */
    public Map<String, Object> asMap() {
        Map<String, Object> map = new LinkedHashMap<>();
        if (relativeMax != null) {
            map.put("relative_max", relativeMax);
        }
        if (gap != null) {
            map.put("gap", gap);
        }
        if (minScore != null) {
            map.put("min_score", minScore);
        }
        return map;
    }
}
