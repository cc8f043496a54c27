package org.mmsearch.neural.images;

import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.Base64;

import org.opensearch.test.OpenSearchTestCase;

/** Tests all forms of data: URIs that browsers accept. */
public class DataUriTests extends OpenSearchTestCase {

    public void testEveryFormIsTheSameBytes() {
        for (int round = 0; round < 200; round++) {
            byte[] bytes = randomByteArrayOfLength(between(1, 90));
            String whole = Base64.getEncoder().encodeToString(bytes);
            String bare = Base64.getEncoder().withoutPadding().encodeToString(bytes);
            for (String text : new String[] { whole, bare, whole.replaceAll("(.{3})", "$1\r\n \t"), "\f" + whole + "\n" }) {
                assertArrayEquals(text, bytes, DataUri.decode(text));
                String escaped = URLEncoder.encode(text, StandardCharsets.US_ASCII).replace("+", "%20");
                for (String body : new String[] { text, escaped, text + "#top" }) {
                    String head = randomFrom("data:;base64", "data:image/png;base64", "DATA:image/gif;charset=utf-8; BASE64 ");
                    assertArrayEquals(head, bytes, DataUri.decode(head + "," + body));
                }
            }
            StringBuilder all = new StringBuilder("data:image/png,");
            for (byte b : bytes) {
                all.append(String.format(java.util.Locale.ROOT, "%%%02x", b));
            }
            assertArrayEquals(bytes, DataUri.decode(all.toString()));
        }
        assertEquals("a%zé%", new String(DataUri.decode("data:,a%zé%"), StandardCharsets.UTF_8));
    }

    public void testOtherTextsAreRefused() {
        for (String text : new String[] { "a", "!!!!", "YW-_", "data:image/png;base64", "data:;base64,a", "YWI==", "Y=I=", "data:;base64,é" }) {
            expectThrows(IllegalArgumentException.class, () -> DataUri.decode(text));
        }
    }
}
