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
 * Reads the answer to an {@link InferRequest} and trusts nothing in it: names, types, shapes, sizes, count,
 * the fingerprint and every number are checked before the vector is given out.
 */
final class InferReply {

    private InferReply() {}

    /**
     * @param model what was asked
     * @param body the whole body
     * @param headerLength the value of the response's header, or null when it had none
     * @return the vector, float32 [dimension]
     * @throws EncoderException BAD_ANSWER for anything malformed, FINGERPRINT for another model set,
     *     INPUT where the output is all zero, which is how an encoder says that its modality was not in the input
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

    /** The text of Triton's {@code {"error": "..."}}, or the body's first characters, cut to one line. */
    static String error(byte[] body) {
        String text = new String(body, 0, Math.min(body.length, 2000), StandardCharsets.UTF_8);
        try {
            if (XContentHelper.convertToMap(XContentType.JSON.xContent(), text, false).get("error") instanceof String error) {
                text = error;
            }
        } catch (OpenSearchParseException notJson) {
            // A proxy's page, for instance: its beginning says more than a complaint about JSON would.
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
                "the output " + model.output() + " of " + model.label() + " needs an input that this query lacks"
                    + " (it came back all zero): give the text or the picture that it encodes"
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
            "the encoder " + model.label() + " gave an answer that cannot be used: expected " + expected + ", got "
                + oneLine(String.valueOf(got)) + "; check the model that Triton serves"
        );
    }

    private static String oneLine(String text) {
        String line = text.replaceAll("\\s+", " ").strip();
        return line.length() <= 300 ? line : line.substring(0, 300) + "…";
    }
}
