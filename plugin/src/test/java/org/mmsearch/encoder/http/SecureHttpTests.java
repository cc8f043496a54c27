package org.mmsearch.encoder.http;

import java.net.URI;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

import org.opensearch.test.OpenSearchTestCase;

/** Who asks for a call over TLS does not look names up: what may block is begun elsewhere. */
public class SecureHttpTests extends OpenSearchTestCase {

    private final Queue<Runnable> begun = new ArrayDeque<>();
    private final List<Throwable> failures = new ArrayList<>();
    private final CountDownLatch answered = new CountDownLatch(1);

    private Http.Exchange post(Http http) {
        return http.post(URI.create("https://nowhere.invalid/"), Map.of(), new byte[] { 1 }, (reply, error) -> {
            failures.add(error);
            answered.countDown();
        });
    }

    public void testACallIsBegunByTheStarter() throws Exception {
        try (Http http = new SecureHttp(500, null, begun::add)) {
            post(http);
            assertEquals(1, begun.size());
            assertEquals("nothing is looked up yet", List.of(), failures);
            begun.remove().run();
            assertTrue(answered.await(30, TimeUnit.SECONDS));
            assertEquals(1, failures.size());
        }
    }

    public void testACallThatIsAbortedBeforeItBegan() {
        try (Http http = new SecureHttp(500, null, begun::add)) {
            post(http).abort();
            assertEquals(1, failures.size());
            assertTrue(String.valueOf(failures), failures.get(0) instanceof CancellationException);
            begun.remove().run();
            assertEquals("called once", 1, failures.size());
        }
    }
}
