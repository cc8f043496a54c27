package org.mmsearch.encoder;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.text.Normalizer;
import java.util.HexFormat;
import java.util.Objects;

/**
 * The input of the encoder: a text, an image, or both, which the encoder fuses into one vector. Inputs are equal if their texts and the
 * SHA-256 of their images are equal.
 */
public final class EncoderInput {

    private static final byte[] ABSENT = new byte[0];

    private final String text;
    private final byte[] image;
    private final String imageDigest;

    private EncoderInput(String text, byte[] image) {
        this.text = text;
        this.image = image;
        this.imageDigest = image.length == 0 ? "" : sha256(image);
    }

    /**
     * @param text the query's text, or null; kept in NFKC, as encoders read it, so that equal ones are encoded once
     * @param image the picture's file, undecoded, or null
     */
    public static EncoderInput of(String text, byte[] image) {
        EncoderInput input = new EncoderInput(text == null ? "" : Normalizer.normalize(text, Normalizer.Form.NFKC), image == null ? ABSENT : image);
        if (input.text.isEmpty() && input.image.length == 0) {
            throw new IllegalArgumentException("there is nothing to encode: expected a text, a picture or both");
        }
        return input;
    }

    /** Returns the image without the text, or null if there is no image. */
    public EncoderInput imageAlone() {
        return image.length == 0 ? null : new EncoderInput("", image);
    }

    /** Returns the text; empty if absent. */
    public String text() {
        return text;
    }

    /** Returns the image file; empty if absent. The array must not be modified. */
    public byte[] image() {
        return image;
    }

    /** Returns the SHA-256 of the image in hex; empty if absent. */
    public String imageDigest() {
        return imageDigest;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof EncoderInput that && text.equals(that.text) && imageDigest.equals(that.imageDigest);
    }

    @Override
    public int hashCode() {
        return Objects.hash(text, imageDigest);
    }

    private static String sha256(byte[] bytes) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }
}
