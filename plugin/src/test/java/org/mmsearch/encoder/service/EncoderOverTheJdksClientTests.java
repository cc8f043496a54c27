package org.mmsearch.encoder.service;

import java.util.concurrent.Executor;

import org.mmsearch.encoder.http.Http;
import org.mmsearch.encoder.http.SecureHttp;
import org.mmsearch.encoder.http.Timer;

/** The same promises kept over the client that carries TLS. */
public class EncoderOverTheJdksClientTests extends EncoderTests {

    @Override
    Http http(Timer timer, Executor executor) {
        return new SecureHttp(500, null, executor);
    }
}
