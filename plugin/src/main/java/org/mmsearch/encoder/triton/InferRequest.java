package org.mmsearch.encoder.triton;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

import org.mmsearch.encoder.EncoderInput;
import org.mmsearch.encoder.EncoderModel;

/**
 * The body of an infer request in the KServe v2 protocol with the binary tensor extension: a JSON header, then the inputs {@code TEXT} and
 * {@code IMAGE} as BYTES [1, 1]. Each element is preceded by its length (uint32, little endian).
 *
 * @param body the JSON header and the tensors
 * @param headerLength length of the JSON header in bytes, sent in the HTTP header {@value #HEADER_LENGTH}
 */
public record InferRequest(byte[] body, int headerLength) {

    /** Name of the HTTP header that contains the length of the JSON header in bytes. */
    public static final String HEADER_LENGTH = "Inference-Header-Content-Length";
    static final String FINGERPRINT = "FINGERPRINT";

    /** Returns the request that encodes an input. */
    public static InferRequest of(EncoderModel model, EncoderInput input) {
        byte[] text = input.text().getBytes(StandardCharsets.UTF_8);
        byte[] image = input.image();
        // EncoderModel validates the names, so they need no escaping.
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
