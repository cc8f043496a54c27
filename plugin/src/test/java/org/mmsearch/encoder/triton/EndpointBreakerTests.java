package org.mmsearch.encoder.triton;

import java.util.concurrent.atomic.AtomicLong;

import org.opensearch.test.OpenSearchTestCase;

public class EndpointBreakerTests extends OpenSearchTestCase {

    private final AtomicLong nanos = new AtomicLong();
    private final EndpointBreaker breaker = new EndpointBreaker(nanos::get);

    public void testOpensAfterFailuresInARow() {
        fail(4);
        breaker.succeeded();
        fail(4);
        assertTrue(breaker.permits(1000));
        breaker.failed(5);
        assertFalse(breaker.permits(1000));
        assertEquals(EndpointBreaker.State.OPEN, breaker.state(1000));
        assertEquals(1000, breaker.waitMillis(1000));
        assertEquals(1, breaker.opened());
    }

    public void testOneProbeAfterThePause() {
        fail(5);
        advanceMillis(1000);
        assertEquals(EndpointBreaker.State.HALF_OPEN, breaker.state(1000));
        assertTrue(breaker.permits(1000));
        assertFalse("only one probe at a time", breaker.permits(1000));
        breaker.failed(5);
        assertFalse("a failed probe opens it again", breaker.permits(1000));
        advanceMillis(1000);
        assertTrue(breaker.permits(1000));
        breaker.succeeded();
        assertEquals(EndpointBreaker.State.CLOSED, breaker.state(1000));
    }

    public void testAnUndecidedProbeLeavesThePlaceToAnother() {
        fail(5);
        advanceMillis(1000);
        assertTrue(breaker.permits(1000));
        breaker.undecided();
        assertTrue(breaker.permits(1000));
    }

    private void fail(int times) {
        for (int i = 0; i < times; i++) {
            breaker.failed(5);
        }
    }

    private void advanceMillis(long millis) {
        nanos.addAndGet(millis * 1_000_000);
    }
}
