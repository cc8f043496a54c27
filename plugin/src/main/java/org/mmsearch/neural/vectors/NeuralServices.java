package org.mmsearch.neural.vectors;

import java.util.concurrent.Executor;

import org.mmsearch.encoder.service.Encoder;
import org.mmsearch.memory.MemoryBreaker;
import org.mmsearch.neural.fields.FieldEncoders;
import org.mmsearch.neural.images.ImageLimits;
import org.mmsearch.visibility.VectorQueries;

/**
 * What a clause works with on its node.
 *
 * @param encoder makes vectors
 * @param fields knows which encoder a field belongs to
 * @param images knows which pictures are taken
 * @param context tells when the search is cancelled
 * @param vectors lets vector queries choose among what a search may find
 * @param executor does what takes too long for the thread that takes a request
 * @param memory what pictures take their heap from
 * @param degraded tells the searcher of a text that is left out
 */
public record NeuralServices(
    Encoder encoder,
    FieldEncoders fields,
    ImageLimits images,
    RequestContext context,
    VectorQueries vectors,
    Executor executor,
    MemoryBreaker memory,
    Degraded degraded
) {}
