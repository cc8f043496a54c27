package org.mmsearch.neural;

import org.mmsearch.encoder.Encoder;
import org.mmsearch.visibility.VectorQueries;

/**
 * What a clause works with on its node.
 *
 * @param encoder makes vectors
 * @param fields knows which encoder a field belongs to
 * @param images knows which pictures are taken
 * @param scope tells when the search is given up
 * @param vectors lets vector queries choose among what a search may find
 */
public record NeuralServices(Encoder encoder, FieldEncoders fields, ImageLimits images, SearchScope scope, VectorQueries vectors) {}
