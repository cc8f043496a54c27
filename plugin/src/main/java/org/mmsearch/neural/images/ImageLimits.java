package org.mmsearch.neural.images;

import java.util.List;

import org.opensearch.common.settings.ClusterSettings;
import org.opensearch.common.settings.Setting;
import org.opensearch.common.settings.Setting.Property;
import org.opensearch.common.settings.Settings;
import org.opensearch.core.common.unit.ByteSizeUnit;
import org.opensearch.core.common.unit.ByteSizeValue;

/** Decodes a {@code query_image} and enforces its limits before it is sent to Triton. */
public final class ImageLimits {

    /** Maximum size of the image file in bytes. */
    public static final Setting<ByteSizeValue> MAX_BYTES = Setting.byteSizeSetting(
        "mmsearch.image.max_bytes",
        new ByteSizeValue(20, ByteSizeUnit.MB),
        new ByteSizeValue(1),
        new ByteSizeValue(20, ByteSizeUnit.MB),
        Property.NodeScope,
        Property.Dynamic
    );

    /** Maximum number of pixels according to the image header. */
    public static final Setting<Long> MAX_PIXELS = Setting.longSetting(
        "mmsearch.image.max_pixels",
        50_000_000L,
        1L,
        50_000_000L,
        Property.NodeScope,
        Property.Dynamic
    );

    private volatile long maxBytes;
    private volatile long maxPixels;

    /** Reads the settings and subscribes to their changes. */
    public ImageLimits(Settings settings, ClusterSettings dynamic) {
        maxBytes = MAX_BYTES.get(settings).getBytes();
        maxPixels = MAX_PIXELS.get(settings);
        dynamic.addSettingsUpdateConsumer(MAX_BYTES, bytes -> maxBytes = bytes.getBytes());
        dynamic.addSettingsUpdateConsumer(MAX_PIXELS, pixels -> maxPixels = pixels);
    }

    /** Returns both settings, to be registered. */
    public static List<Setting<?>> all() {
        return List.of(MAX_BYTES, MAX_PIXELS);
    }

    /**
     * Decodes and validates an image.
     *
     * @param base64 the {@code query_image}: base64, or a {@code data:} URI
     * @return the image file
     * @throws IllegalArgumentException if it is not base64, exceeds a limit, or is not an image in a supported format
     */
    public byte[] decode(String base64) {
        int begin = DataUri.is(base64) ? base64.indexOf(',') + 1 : 0;
        // 4 characters encode 3 bytes, so an oversized image is rejected before it is decoded.
        if ((base64.length() - begin) / 4L * 3 > maxBytes + 3) {
            throw tooLarge((base64.length() - begin) / 4L * 3);
        }
        byte[] bytes;
        try {
            bytes = DataUri.decode(base64);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException("query_image must be an image file in base64, got text that is not base64", e);
        }
        if (bytes.length > maxBytes) {
            throw tooLarge(bytes.length);
        }
        ImageHeader probe = probe(bytes);
        if (probe.width() <= 0 || probe.height() <= 0 || probe.pixels() > maxPixels) {
            throw new IllegalArgumentException(
                "query_image must have 1 to " + maxPixels + " pixels (" + MAX_PIXELS.getKey() + "), got " + probe.width() + " x "
                    + probe.height() + "; scale the image down"
            );
        }
        return bytes;
    }

    private static ImageHeader probe(byte[] bytes) {
        try {
            return ImageHeader.of(bytes);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException("query_image: " + e.getMessage(), e);
        }
    }

    private IllegalArgumentException tooLarge(long bytes) {
        return new IllegalArgumentException(
            "query_image must be at most " + new ByteSizeValue(maxBytes) + " (" + MAX_BYTES.getKey() + "), got " + bytes
                + " bytes; scale the image down"
        );
    }
}
