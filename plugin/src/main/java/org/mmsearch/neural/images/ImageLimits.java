package org.mmsearch.neural.images;

import java.util.List;

import org.opensearch.common.settings.ClusterSettings;
import org.opensearch.common.settings.Setting;
import org.opensearch.common.settings.Setting.Property;
import org.opensearch.common.settings.Settings;
import org.opensearch.core.common.unit.ByteSizeUnit;
import org.opensearch.core.common.unit.ByteSizeValue;

/** What a {@code query_image} may be; checked before Triton sees it. */
public final class ImageLimits {

    /** The largest picture's file. */
    public static final Setting<ByteSizeValue> MAX_BYTES = Setting.byteSizeSetting(
        "mmsearch.image.max_bytes",
        new ByteSizeValue(20, ByteSizeUnit.MB),
        new ByteSizeValue(1),
        new ByteSizeValue(20, ByteSizeUnit.MB),
        Property.NodeScope,
        Property.Dynamic
    );

    /** The most pixels that a picture's header may announce. */
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

    /** Takes the settings and follows them. */
    public ImageLimits(Settings settings, ClusterSettings dynamic) {
        maxBytes = MAX_BYTES.get(settings).getBytes();
        maxPixels = MAX_PIXELS.get(settings);
        dynamic.addSettingsUpdateConsumer(MAX_BYTES, bytes -> maxBytes = bytes.getBytes());
        dynamic.addSettingsUpdateConsumer(MAX_PIXELS, pixels -> maxPixels = pixels);
    }

    /** Both, to be registered. */
    public static List<Setting<?>> all() {
        return List.of(MAX_BYTES, MAX_PIXELS);
    }

    /**
     * @param base64 the {@code query_image}; a {@code data:} URI is taken too
     * @return the picture's file
     * @throws IllegalArgumentException when it is no base64, too large, or no picture of a kind that is taken
     */
    public byte[] decode(String base64) {
        int begin = DataUri.is(base64) ? base64.indexOf(',') + 1 : 0;
        // 4 characters carry 3 bytes: an oversized picture is refused without being decoded.
        if ((base64.length() - begin) / 4L * 3 > maxBytes + 3) {
            throw tooLarge((base64.length() - begin) / 4L * 3);
        }
        byte[] bytes;
        try {
            bytes = DataUri.decode(base64);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException("query_image must be a picture's file in base64, got a text that is not", e);
        }
        if (bytes.length > maxBytes) {
            throw tooLarge(bytes.length);
        }
        ImageHeader probe = probe(bytes);
        if (probe.width() <= 0 || probe.height() <= 0 || probe.pixels() > maxPixels) {
            throw new IllegalArgumentException(
                "query_image must have 1 to " + maxPixels + " pixels (" + MAX_PIXELS.getKey() + "), got " + probe.width() + " x "
                    + probe.height() + "; scale the picture down"
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
            "query_image must be at most " + new ByteSizeValue(maxBytes) + " (" + MAX_BYTES.getKey() + "), got " + bytes + " bytes" + "; scale the picture down"
        );
    }
}
