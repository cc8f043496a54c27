package org.mmsearch.encoder.http;

import java.io.IOException;
import java.net.ProtocolException;

import org.apache.hc.core5.http.HttpException;
import org.apache.hc.core5.http.MalformedChunkCodingException;
import org.apache.hc.core5.http.MessageConstraintException;
import org.apache.hc.core5.http.TruncatedChunkException;

/** The library's failures as {@link Http} promises them. */
final class HttpFailure {

    private HttpFailure() {}

    static Throwable of(Exception cause) {
        boolean foreign = cause instanceof HttpException
            || cause instanceof MessageConstraintException
            || cause instanceof MalformedChunkCodingException && cause instanceof TruncatedChunkException == false;
        if (foreign) {
            return new ProtocolException(cause.getMessage()).initCause(cause);
        }
        // A closed pool or executor throws unchecked exceptions.
        return cause instanceof IOException ? cause : new IOException(cause.getMessage(), cause);
    }
}
