package org.mmsearch.encoder;

import java.util.concurrent.Executor;

/** The same promises kept over the client that carries TLS. */
public class EncoderOverTheJdksClientTests extends EncoderTests {

    @Override
    Http http(Timer timer, Executor executor) {
        return new SecureHttp(500, null);
    }
}
