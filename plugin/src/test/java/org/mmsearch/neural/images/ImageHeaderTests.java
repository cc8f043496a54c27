package org.mmsearch.neural.images;

import java.util.Arrays;
import java.util.HexFormat;
import java.util.Map;

import org.opensearch.test.OpenSearchTestCase;

/** Tests the header parser with headers written by hand from the format specifications. */
public class ImageHeaderTests extends OpenSearchTestCase {

    private static final String PNG = "89504e470d0a1a0a 0000000d 49484452 00000280 000001e0 0802000000";
    private static final String GIF = "474946383961 8002 e001 f70000";
    // JFIF, then a quantisation table, then a progressive frame of 640 x 480.
    private static final String JPEG = "ffd8 ffe0 0004 0000 ffdb 0003 00 ff ffc2 0011 08 01e0 0280 03";
    private static final String VP8 = "52494646 00000000 57454250 56503820 00000000 000000 9d012a 8002 e001";
    private static final String VP8L = "52494646 00000000 57454250 5650384c 00000000 2f 7fc27700";
    private static final String VP8X = "52494646 00000000 57454250 56503858 0a000000 00000000 7f0200 df0100";

    public void testSizes() {
        assertEquals(new ImageHeader("PNG", 640, 480), probe(PNG));
        assertEquals(new ImageHeader("GIF", 640, 480), probe(GIF));
        assertEquals(new ImageHeader("JPEG", 640, 480), probe(JPEG));
        assertEquals(new ImageHeader("WebP", 640, 480), probe(VP8));
        assertEquals(new ImageHeader("WebP", 640, 480), probe(VP8L));
        assertEquals(new ImageHeader("WebP", 640, 480), probe(VP8X));
    }

    public void testEveryCutIsRefused() {
        // Number of bytes up to the end of the size in each format.
        Map<String, Integer> needed = Map.of(PNG, 24, GIF, 10, JPEG, 23, VP8, 30, VP8L, 25, VP8X, 30);
        needed.forEach((whole, bytes) -> {
            assertNotNull(ImageHeader.of(Arrays.copyOf(bytes(whole), bytes)));
            for (int length = 0; length < bytes; length++) {
                byte[] cut = Arrays.copyOf(bytes(whole), length);
                expectThrows(IllegalArgumentException.class, () -> ImageHeader.of(cut));
            }
        });
    }

    public void testOtherKindsAreRefused() {
        for (String other : new String[] { "255044462d312e34 0a0a0a0a", "49492a00 08000000", "424d 00000000", "3c737667 3e", "" }) {
            expectThrows(IllegalArgumentException.class, () -> probe(other));
        }
    }

    public void testOtherPicturesAreNamed() {
        Map<String, String> named = Map.of(
            "00000020 66747970 61766966 00000000", "an AVIF",
            "0000002c 66747970 61766973 00000000", "an AVIF",
            "00000018 66747970 68656963 00000000", "a HEIC",
            "49492a00 08000000", "a TIFF",
            "4d4d002b 00080000", "a TIFF",
            "424d8e02 00000000", "a BMP"
        );
        named.forEach((bytes, name) -> {
            String message = expectThrows(IllegalArgumentException.class, () -> probe(bytes)).getMessage();
            assertTrue(message, message.startsWith("expected a JPEG, PNG, WebP or GIF image, got " + name));
            assertTrue(message, message.endsWith("; convert it"));
        });
    }

    public void testRandomBytesEndInAnAnswer() {
        for (int i = 0; i < 20_000; i++) {
            byte[] bytes = bytes(randomFrom(PNG, GIF, JPEG, VP8, VP8L, VP8X));
            for (int n = between(0, 8); n > 0; n--) {
                bytes[between(2, bytes.length - 1)] = randomByte();
            }
            try {
                assertNotNull(ImageHeader.of(bytes).kind());
            } catch (IllegalArgumentException expected) {
                assertNotNull(expected.getMessage());
            }
        }
    }

    private static ImageHeader probe(String hex) {
        return ImageHeader.of(bytes(hex));
    }

    private static byte[] bytes(String hex) {
        return HexFormat.of().parseHex(hex.replace(" ", ""));
    }
}
