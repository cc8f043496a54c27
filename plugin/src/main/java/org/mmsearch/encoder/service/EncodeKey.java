package org.mmsearch.encoder.service;

import org.mmsearch.encoder.EncoderInput;
import org.mmsearch.encoder.EncoderModel;

/**
 * Identifies an encoding, for the cache and for concurrent equal requests. It contains only the digest of an image.
 *
 * @param model the encoder with its fingerprint
 * @param text the query's text; empty if absent
 * @param imageDigest the SHA-256 of the image in hex; empty if absent
 */
record EncodeKey(EncoderModel model, String text, String imageDigest) {

    // Object headers, the map entry and the links of the LRU list, in bytes.
    private static final int OVERHEAD_BYTES = 200;

    static EncodeKey of(EncoderModel model, EncoderInput input) {
        return new EncodeKey(model, input.text(), input.imageDigest());
    }

    /** Returns the heap in bytes of a cache entry with this key and a vector of the model's dimension. */
    long weight() {
        return OVERHEAD_BYTES + 2L * (text.length() + imageDigest.length()) + 4L * model.dimension();
    }
}
