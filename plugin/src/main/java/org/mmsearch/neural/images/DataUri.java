package org.mmsearch.neural.images;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.regex.Pattern;

/** Decodes base64 and {@code data:} URIs as browsers do: whitespace, percent escapes and missing padding are accepted. */
final class DataUri {

    private static final Pattern BASE64 = Pattern.compile("; *base64 *$", Pattern.CASE_INSENSITIVE);

    private DataUri() {}

    /** Returns whether a text is a {@code data:} URI. */
    static boolean is(String text) {
        return text.regionMatches(true, 0, "data:", 0, 5);
    }

    /**
     * Decodes a text.
     *
     * @param text base64 or a {@code data:} URI
     * @throws IllegalArgumentException if it is neither
     */
    static byte[] decode(String text) {
        if (is(text) == false) {
            return base64(text);
        }
        int comma = text.indexOf(',');
        if (comma < 0) {
            throw new IllegalArgumentException("a data: URI without a comma");
        }
        String body = text.substring(comma + 1);
        int fragment = body.indexOf('#');
        byte[] raw = unescaped(fragment < 0 ? body : body.substring(0, fragment));
        return BASE64.matcher(text.substring(5, comma)).find() ? base64(new String(raw, StandardCharsets.ISO_8859_1)) : raw;
    }

    private static byte[] base64(String text) {
        StringBuilder letters = new StringBuilder(text.length());
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c != ' ' && c != '\n' && c != '\r' && c != '\t' && c != '\f') {
                letters.append(c);
            }
        }
        // The decoder accepts missing padding and rejects all other characters.
        return Base64.getDecoder().decode(letters.toString());
    }

    private static byte[] unescaped(String text) {
        if (text.indexOf('%') < 0) {
            return text.getBytes(StandardCharsets.UTF_8);
        }
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(text.length());
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            int high = c == '%' && i + 2 < text.length() ? Character.digit(text.charAt(i + 1), 16) : -1;
            int low = high < 0 ? -1 : Character.digit(text.charAt(i + 2), 16);
            if (low >= 0) {
                bytes.write(high << 4 | low);
                i += 2;
            } else if (c < 128) {
                bytes.write(c);
            } else {
                bytes.writeBytes(String.valueOf(c).getBytes(StandardCharsets.UTF_8));
            }
        }
        return bytes.toByteArray();
    }
}
