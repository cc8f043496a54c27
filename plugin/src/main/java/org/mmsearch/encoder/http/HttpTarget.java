package org.mmsearch.encoder.http;

import java.net.URI;

/**
 * Where a connection goes; connections to the same target can stand in for each other.
 *
 * @param host a name or an address
 */
record HttpTarget(String host, int port) {

    private static final int HTTP = 80;

    static HttpTarget of(URI uri) {
        return new HttpTarget(uri.getHost(), uri.getPort() < 0 ? HTTP : uri.getPort());
    }
}
