package org.mmsearch.encoder.triton;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import org.mmsearch.encoder.EncoderException;
import org.mmsearch.encoder.EncoderFailure;
import org.mmsearch.encoder.EncoderModel;
import org.opensearch.OpenSearchParseException;
import org.opensearch.common.xcontent.XContentHelper;
import org.opensearch.common.xcontent.XContentType;

/**
 * Parses the response to an {@link InferRequest}. Validates names, types, shapes, sizes, the number of outputs, the fingerprint and every
 * value before it returns the vector.
 */
final class InferReply {

    private InferReply() {}

    /**
     * Returns the vector of a response.
     *
     * @param model the model that was called
     * @param body the complete body
     * @param headerLength value of the response header {@value InferRequest#HEADER_LENGTH}, or null if it is absent
     * @return the vector, float32 [dimension]
     * @throws EncoderException BAD_ANSWER if the response is malformed, FINGERPRINT if it comes from another model set, INPUT if the
     *     vector is all zero, which means that the input lacked the modality of this output
     */
    static float[] vector(EncoderModel model, byte[] body, String headerLength) {
        Map<String, ByteBuffer> outputs = new HashMap<>();
        Map<String, Map<?, ?>> headers = new HashMap<>();
        split(model, body, headerLength, outputs, headers);
        checkFingerprint(model, outputs.get(InferRequest.FINGERPRINT));
        ByteBuffer data = outputs.get(model.output());
        if (data == null) {
            throw bad(model, "the output " + model.output(), "outputs " + outputs.keySet());
        }
        checkShape(model, headers.get(model.output()), data.remaining());
        return floats(model, data);
    }

    /** Returns Triton's error message ({@code {"error": "..."}}), or else the start of the body, as one line. */
    static String error(byte[] body) {
        String text = new String(body, 0, Math.min(body.length, 2000), StandardCharsets.UTF_8);
        try {
            if (XContentHelper.convertToMap(XContentType.JSON.xContent(), text, false).get("error") instanceof String error) {
                text = error;
            }
        } catch (OpenSearchParseException notJson) {
            // For example the error page of a proxy, whose start is more useful than a JSON parse error.
            return oneLine(text);
        }
        return oneLine(text);
    }

    private static void split(
        EncoderModel model,
        byte[] body,
        String headerLength,
        Map<String, ByteBuffer> outputs,
        Map<String, Map<?, ?>> headers
    ) {
        int length = headerLength(model, body, headerLength);
        Map<String, Object> header;
        try {
            header = XContentHelper.convertToMap(XContentType.JSON.xContent(), body, 0, length, false);
        } catch (OpenSearchParseException e) {
            throw bad(model, "a JSON header", "bytes that are not JSON");
        }
        if (header.get("outputs") instanceof List<?> list) {
            int at = length;
            for (Object entry : list) {
                if (!(entry instanceof Map<?, ?> output && output.get("name") instanceof String name)) {
                    throw bad(model, "outputs with names", String.valueOf(entry));
                }
                int size = size(model, output);
                if (size > body.length - at) {
                    throw bad(model, size + " bytes of " + name, (body.length - at) + " bytes");
                }
                outputs.put(name, ByteBuffer.wrap(body, at, size).slice().order(ByteOrder.LITTLE_ENDIAN));
                headers.put(name, output);
                at += size;
            }
            if (at != body.length) {
                throw bad(model, "a body of " + at + " bytes", body.length + " bytes");
            }
        } else {
            throw bad(model, "a list of outputs", String.valueOf(header.get("outputs")));
        }
    }

    private static int headerLength(EncoderModel model, byte[] body, String headerLength) {
        try {
            int length = Integer.parseInt(headerLength == null ? "" : headerLength.trim());
            if (length > 0 && length <= body.length) {
                return length;
            }
        } catch (NumberFormatException e) {
            throw bad(model, "a number in " + InferRequest.HEADER_LENGTH, headerLength);
        }
        throw bad(model, InferRequest.HEADER_LENGTH + " from 1 to " + body.length, headerLength);
    }

    private static int size(EncoderModel model, Map<?, ?> output) {
        if (output.get("parameters") instanceof Map<?, ?> parameters
            && parameters.get("binary_data_size") instanceof Integer size
            && size >= 0) {
            return size;
        }
        throw bad(model, "the output's binary_data_size", String.valueOf(output.get("parameters")));
    }

    private static void checkShape(EncoderModel model, Map<?, ?> output, int bytes) {
        List<Integer> expected = List.of(1, model.dimension());
        if ("FP32".equals(output.get("datatype")) == false
            || expected.equals(output.get("shape")) == false
            || bytes != 4 * model.dimension()) {
            throw bad(
                model,
                model.output() + " as FP32 " + expected + " in " + 4 * model.dimension() + " bytes",
                output.get("datatype") + " " + output.get("shape") + " in " + bytes + " bytes"
            );
        }
    }

    private static float[] floats(EncoderModel model, ByteBuffer data) {
        float[] vector = new float[model.dimension()];
        data.asFloatBuffer().get(vector);
        boolean zero = true;
        for (int i = 0; i < vector.length; i++) {
            if (Float.isFinite(vector[i]) == false) {
                throw bad(model, "finite numbers in " + model.output(), vector[i] + " at position " + i);
            }
            zero &= vector[i] == 0f;
        }
        if (zero) {
            throw new EncoderException(
                EncoderFailure.INPUT,
                "the output " + model.output() + " of " + model.label() + " is all zero: the query lacks the"
                    + " modality that this output encodes; add the text or the image"
            );
        }
        return vector;
    }

    private static void checkFingerprint(EncoderModel model, ByteBuffer data) {
        if (model.fingerprint() == null) {
            return;
        }
        if (data == null || data.remaining() < 4 || data.getInt(0) != data.remaining() - 4) {
            throw bad(model, "one string in " + InferRequest.FINGERPRINT, data == null ? "none" : data.remaining() + " bytes");
        }
        String got = StandardCharsets.UTF_8.decode(data.slice(4, data.remaining() - 4)).toString();
        if (got.equals(model.fingerprint()) == false) {
            throw new EncoderException(
                EncoderFailure.FINGERPRINT,
                "the index was built with the encoder " + model.fingerprint() + ", Triton serves " + oneLine(got) + " as "
                    + model.label() + ": serve the index's encoder, or reindex with the new one"
            );
        }
    }

    private static EncoderException bad(EncoderModel model, String expected, String got) {
        return new EncoderException(
            EncoderFailure.BAD_ANSWER,
            "the encoder " + model.label() + " returned an invalid response: expected " + expected + ", got "
                + oneLine(String.valueOf(got)) + "; check the model that Triton serves"
        );
    }

    private static String oneLine(String text) {
        String line = text.replaceAll("\\s+", " ").strip();
        return line.length() <= 300 ? line : line.substring(0, 300) + "…";
    }
}
