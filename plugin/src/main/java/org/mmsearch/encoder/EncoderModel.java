package org.mmsearch.encoder;

import java.util.Locale;
import java.util.regex.Pattern;

/**
 * The encoder of a vector field: a model in Triton, one of its outputs, and the properties that the response must have.
 *
 * @param model name of the model, such as {@code query_encoder}
 * @param version version number of the model as text, or null for the newest
 * @param output name of the output tensor, FP32 [1, dimension]
 * @param fingerprint expected SHA-256 of the model set in hex, or null if the index does not specify one
 * @param dimension expected length of the vector
 */
public record EncoderModel(String model, String version, String output, String fingerprint, int dimension) {

    // The names are used in the path of a URL.
    private static final Pattern NAME = Pattern.compile("[A-Za-z0-9_][A-Za-z0-9_.-]{0,255}");
    private static final Pattern VERSION = Pattern.compile("[0-9]{1,18}");

    /**
     * Validates the names, which are used in a URL, and the dimension.
     *
     * @throws IllegalArgumentException if one of them is invalid
     */
    public EncoderModel {
        require(NAME.matcher(model).matches(), "model", model, "letters, digits, '_', '.', '-'");
        require(NAME.matcher(output).matches(), "output", output, "letters, digits, '_', '.', '-'");
        require(version == null || VERSION.matcher(version).matches(), "model version", version, "a whole number");
        require(dimension > 0, "dimension", Integer.toString(dimension), "a positive number");
    }

    /** Returns the path of the infer request, relative to the URL of the endpoint. */
    public String path() {
        return "/v2/models/" + model + (version == null ? "" : "/versions/" + version) + "/infer";
    }

    /** Returns the name for messages, such as {@code query_encoder:1}. */
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
