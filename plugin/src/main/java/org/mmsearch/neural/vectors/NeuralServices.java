package org.mmsearch.neural.vectors;

import java.util.concurrent.Executor;

import org.mmsearch.encoder.service.Encoder;
import org.mmsearch.memory.MemoryBreaker;
import org.mmsearch.neural.fields.FieldEncoders;
import org.mmsearch.neural.images.ImageLimits;
import org.mmsearch.visibility.VectorQueries;

/**
 * The services of the clause on its node.
 *
 * @param encoder encodes texts and images
 * @param fields finds the encoder of a field
 * @param images decodes images and enforces their limits
 * @param context watches for cancellation and caches the vectors of a request
 * @param vectors restricts vector queries to the documents that a search may return
 * @param executor runs work that is too long for a transport thread
 * @param memory the circuit breaker for the heap of images
 * @param degraded reports texts that are left out
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
