package org.mmsearch.encoder.service;

import org.mmsearch.encoder.EncoderInput;
import org.mmsearch.encoder.EncoderModel;

/**
 * What makes two encodings the same one. It holds no picture, only the picture's digest, so that it can be kept.
 *
 * @param model the encoder, its fingerprint included
 * @param text the query's text; empty when absent
 * @param imageDigest the picture's sha256 in hex; empty when absent
 */
record EncodeKey(EncoderModel model, String text, String imageDigest) {

    // Object headers, the map's entry and the links of the LRU list.
    private static final int OVERHEAD_BYTES = 200;

    static EncodeKey of(EncoderModel model, EncoderInput input) {
        return new EncodeKey(model, input.text(), input.imageDigest());
    }

    /** The heap that a cache entry with this key and a vector of the model's dimension takes, in bytes. */
    long weight() {
        return OVERHEAD_BYTES + 2L * (text.length() + imageDigest.length()) + 4L * model.dimension();
    }
}
