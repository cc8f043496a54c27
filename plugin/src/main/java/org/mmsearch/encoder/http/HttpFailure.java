package org.mmsearch.encoder.http;

import java.io.IOException;
import java.net.ProtocolException;

import org.apache.hc.core5.http.HttpException;
import org.apache.hc.core5.http.MalformedChunkCodingException;
import org.apache.hc.core5.http.MessageConstraintException;
import org.apache.hc.core5.http.TruncatedChunkException;

/** Converts exceptions of HttpCore to those specified in {@link Http#post}. */
final class HttpFailure {

    private HttpFailure() {}

    static Throwable of(Exception cause) {
        boolean foreign = cause instanceof HttpException
            || cause instanceof MessageConstraintException
            || cause instanceof MalformedChunkCodingException && cause instanceof TruncatedChunkException == false;
        if (foreign) {
            return new ProtocolException(cause.getMessage()).initCause(cause);
        }
        // Closed connection pools and executors throw unchecked exceptions.
        return cause instanceof IOException ? cause : new IOException(cause.getMessage(), cause);
    }
}
