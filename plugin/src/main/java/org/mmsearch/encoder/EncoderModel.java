package org.mmsearch.encoder;

import java.util.Locale;
import java.util.regex.Pattern;

/**
 * The encoder of one vector field: which model of Triton, which of its outputs, and what the answer must be.
 *
 * @param model the entry model's name, for instance {@code query_encoder}
 * @param version the version's number as text, or null for the newest
 * @param output the output tensor, FP32 [1, dimension]
 * @param fingerprint the model set's sha256 in hex that the answer must carry, or null where the index names none
 * @param dimension the length that the vector must have
 */
public record EncoderModel(String model, String version, String output, String fingerprint, int dimension) {

    // The names become parts of a URL's path.
    private static final Pattern NAME = Pattern.compile("[A-Za-z0-9_][A-Za-z0-9_.-]{0,255}");
    private static final Pattern VERSION = Pattern.compile("[0-9]{1,18}");

    /** Refuses names that could not be parts of a URL. */
    public EncoderModel {
        require(NAME.matcher(model).matches(), "model", model, "letters, digits, '_', '.', '-'");
        require(NAME.matcher(output).matches(), "output", output, "letters, digits, '_', '.', '-'");
        require(version == null || VERSION.matcher(version).matches(), "model version", version, "a whole number");
        require(dimension > 0, "dimension", Integer.toString(dimension), "a positive number");
    }

    /** The path of the infer call, from the endpoint's root. */
    public String path() {
        return "/v2/models/" + model + (version == null ? "" : "/versions/" + version) + "/infer";
    }

    /** How messages name the encoder, for instance {@code query_encoder:1}. */
    public String label() {
        return version == null ? model : model + ":" + version;
    }

    private static void require(boolean holds, String what, String got, String expected) {
        if (holds == false) {
            throw new IllegalArgumentException(
                String.format(Locale.ROOT, "the encoder's %s must be %s, got [%s]", what, expected, got)
            );
        }
    }
}
