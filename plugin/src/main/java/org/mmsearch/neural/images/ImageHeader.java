package org.mmsearch.neural.images;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * The format and size of an image (JPEG, PNG, WebP or GIF), read from its header without decoding the image.
 *
 * @param kind the format, such as {@code JPEG}
 * @param width in pixels
 * @param height in pixels
 */
record ImageHeader(String kind, int width, int height) {

    private static final byte[] PNG = { (byte) 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' };

    /**
     * Reads the header of an image.
     *
     * @param bytes the image file
     * @throws IllegalArgumentException if the format is not supported, or if the header is invalid or truncated
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
            throw new IllegalArgumentException("expected a complete image, got one with a truncated header", e);
        }
        throw new IllegalArgumentException("expected a JPEG, PNG, WebP or GIF image, got " + other(bytes) + "; convert it");
    }

    /** Names other formats of shops and telephones. */
    private static String other(byte[] bytes) {
        if (ascii(bytes, 4, "ftyp")) {
            return ascii(bytes, 8, "avif") || ascii(bytes, 8, "avis") ? "an AVIF" : "a HEIC or a related format";
        }
        if (ascii(bytes, 0, "II*\0") || ascii(bytes, 0, "MM\0*") || ascii(bytes, 0, "II+\0") || ascii(bytes, 0, "MM\0+")) {
            return "a TIFF";
        }
        return ascii(bytes, 0, "BM") ? "a BMP" : bytes.length + " bytes in another format";
    }

    /** Returns the number of pixels, which may exceed the range of an int. */
    long pixels() {
        return (long) width * height;
    }

    private static ImageHeader png(byte[] bytes) {
        if (ascii(bytes, 12, "IHDR") == false) {
            throw new IllegalArgumentException("expected a PNG image that starts with the IHDR chunk");
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
        throw new IllegalArgumentException("expected a WebP image with a VP8, VP8L or VP8X chunk");
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
                throw new IllegalArgumentException("expected a JPEG image with its size before its data");
            } else {
                int length = big(bytes, at + 2, 2);
                if (length < 2) {
                    throw new IllegalArgumentException("expected a JPEG segment of at least 2 bytes at byte " + at);
                }
                at += 2 + length;
            }
        }
    }

    /** Returns whether a marker is SOF0 to SOF15, excluding DHT, JPG and DAC, which are in the same range. */
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
