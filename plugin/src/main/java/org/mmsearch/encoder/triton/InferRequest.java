package org.mmsearch.encoder.triton;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

import org.mmsearch.encoder.EncoderInput;
import org.mmsearch.encoder.EncoderModel;

/**
 * The body of one infer call by the KServe v2 protocol with the binary tensor extension:
 * a JSON header, then {@code TEXT} and {@code IMAGE} as BYTES [1, 1], each element after its length (uint32, little endian).
 *
 * @param body header and tensors
 * @param headerLength the header's length in bytes, sent as {@value #HEADER_LENGTH}
 */
public record InferRequest(byte[] body, int headerLength) {

    /** The HTTP header with the JSON header's length in bytes. */
    public static final String HEADER_LENGTH = "Inference-Header-Content-Length";
    static final String FINGERPRINT = "FINGERPRINT";

    /** The call that encodes the input. */
    public static InferRequest of(EncoderModel model, EncoderInput input) {
        byte[] text = input.text().getBytes(StandardCharsets.UTF_8);
        byte[] image = input.image();
        // Names were checked by EncoderModel: no character of them needs escaping.
        String header = "{\"inputs\":[" + tensor("TEXT", text) + "," + tensor("IMAGE", image) + "],\"outputs\":["
            + output(model.output()) + (model.fingerprint() == null ? "" : "," + output(FINGERPRINT)) + "]}";
        byte[] head = header.getBytes(StandardCharsets.US_ASCII);
        ByteArrayOutputStream body = new ByteArrayOutputStream(head.length + 8 + text.length + image.length);
        body.writeBytes(head);
        element(body, text);
        element(body, image);
        return new InferRequest(body.toByteArray(), head.length);
    }

    private static String tensor(String name, byte[] value) {
        return "{\"name\":\"" + name + "\",\"shape\":[1,1],\"datatype\":\"BYTES\",\"parameters\":{\"binary_data_size\":"
            + (4 + value.length) + "}}";
    }

    private static String output(String name) {
        return "{\"name\":\"" + name + "\",\"parameters\":{\"binary_data\":true}}";
    }

    private static void element(ByteArrayOutputStream body, byte[] value) {
        body.writeBytes(ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(value.length).array());
        body.writeBytes(value);
    }
}
