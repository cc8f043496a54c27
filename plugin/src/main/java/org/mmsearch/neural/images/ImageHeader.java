package org.mmsearch.neural.images;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Reads a picture's kind and size from its first bytes, without decoding it: JPEG, PNG, WebP and GIF.
 *
 * @param kind for instance {@code JPEG}
 * @param width in pixels
 * @param height in pixels
 */
record ImageHeader(String kind, int width, int height) {

    private static final byte[] PNG = { (byte) 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' };

    /**
     * @param bytes the picture's file
     * @throws IllegalArgumentException when it is none of the four kinds, or its header is cut off
     */
    static ImageHeader of(byte[] bytes) {
        try {
            if (startsWith(bytes, 0, PNG)) {
                return png(bytes);
            }
            if (ascii(bytes, 0, "GIF87a") || ascii(bytes, 0, "GIF89a")) {
                return new ImageHeader("GIF", little(bytes, 6, 2), little(bytes, 8, 2));
            }
            if (ascii(bytes, 0, "RIFF") && ascii(bytes, 8, "WEBP")) {
                return webp(bytes);
            }
            if (bytes.length > 2 && byteAt(bytes, 0) == 0xff && byteAt(bytes, 1) == 0xd8) {
                return jpeg(bytes);
            }
        } catch (ArrayIndexOutOfBoundsException e) {
            throw new IllegalArgumentException("expected a whole picture, got one that is cut off in its header", e);
        }
        throw new IllegalArgumentException("expected a JPEG, PNG, WebP or GIF picture, got " + other(bytes) + "; convert it");
    }

    /** What the bytes are, of the kinds that shops and telephones have. */
    private static String other(byte[] bytes) {
        if (ascii(bytes, 4, "ftyp")) {
            return ascii(bytes, 8, "avif") || ascii(bytes, 8, "avis") ? "an AVIF" : "a HEIC or another picture of its family";
        }
        if (ascii(bytes, 0, "II*\0") || ascii(bytes, 0, "MM\0*") || ascii(bytes, 0, "II+\0") || ascii(bytes, 0, "MM\0+")) {
            return "a TIFF";
        }
        return ascii(bytes, 0, "BM") ? "a BMP" : bytes.length + " bytes of another kind";
    }

    /** The picture's size, which may exceed an int. */
    long pixels() {
        return (long) width * height;
    }

    private static ImageHeader png(byte[] bytes) {
        if (ascii(bytes, 12, "IHDR") == false) {
            throw new IllegalArgumentException("expected a PNG picture that begins with IHDR");
        }
        return new ImageHeader("PNG", big(bytes, 16, 4), big(bytes, 20, 4));
    }

    private static ImageHeader webp(byte[] bytes) {
        if (ascii(bytes, 12, "VP8X")) {
            return new ImageHeader("WebP", 1 + little(bytes, 24, 3), 1 + little(bytes, 27, 3));
        }
        if (ascii(bytes, 12, "VP8L") && byteAt(bytes, 20) == 0x2f) {
            int bits = little(bytes, 21, 4);
            return new ImageHeader("WebP", 1 + (bits & 0x3fff), 1 + (bits >>> 14 & 0x3fff));
        }
        if (ascii(bytes, 12, "VP8 ") && big(bytes, 23, 3) == 0x9d012a) {
            return new ImageHeader("WebP", little(bytes, 26, 2) & 0x3fff, little(bytes, 28, 2) & 0x3fff);
        }
        throw new IllegalArgumentException("expected a WebP picture with a VP8, VP8L or VP8X chunk");
    }

    private static ImageHeader jpeg(byte[] bytes) {
        int at = 2;
        while (true) {
            if (byteAt(bytes, at) != 0xff) {
                throw new IllegalArgumentException("expected a JPEG marker at byte " + at);
            }
            int marker = byteAt(bytes, at + 1);
            if (marker == 0xff) {
                at++;
            } else if (marker == 0x01 || marker >= 0xd0 && marker <= 0xd8) {
                at += 2;
            } else if (isFrame(marker)) {
                return new ImageHeader("JPEG", big(bytes, at + 7, 2), big(bytes, at + 5, 2));
            } else if (marker == 0xd9 || marker == 0xda) {
                throw new IllegalArgumentException("expected the picture's size before its data in a JPEG picture");
            } else {
                int length = big(bytes, at + 2, 2);
                if (length < 2) {
                    throw new IllegalArgumentException("expected a JPEG segment of at least 2 bytes at byte " + at);
                }
                at += 2 + length;
            }
        }
    }

    /** SOF0 to SOF15 without DHT, JPG and DAC, which share the range. */
    private static boolean isFrame(int marker) {
        return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
    }

    private static boolean startsWith(byte[] bytes, int at, byte[] start) {
        return bytes.length >= at + start.length && Arrays.equals(bytes, at, at + start.length, start, 0, start.length);
    }

    private static boolean ascii(byte[] bytes, int at, String text) {
        return startsWith(bytes, at, text.getBytes(StandardCharsets.US_ASCII));
    }

    private static int byteAt(byte[] bytes, int at) {
        return bytes[at] & 0xff;
    }

    private static int big(byte[] bytes, int at, int count) {
        int value = 0;
        for (int i = 0; i < count; i++) {
            value = value << 8 | byteAt(bytes, at + i);
        }
        return value;
    }

    private static int little(byte[] bytes, int at, int count) {
        int value = 0;
        for (int i = count - 1; i >= 0; i--) {
            value = value << 8 | byteAt(bytes, at + i);
        }
        return value;
    }
}
