package org.mmsearch;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

import org.opensearch.common.unit.TimeValue;
import org.opensearch.search.SearchService;
import org.opensearch.test.OpenSearchTestCase;

public class DeadlineTests extends OpenSearchTestCase {

    private final AtomicLong clock = new AtomicLong(-5);

    private Deadline in(long millis) {
        return new Deadline(TimeValue.timeValueMillis(millis), clock::get);
    }

    private void pass(long millis) {
        clock.addAndGet(TimeUnit.MILLISECONDS.toNanos(millis));
    }

    public void testTheRemainingTimeIsShared() {
        Deadline deadline = in(1000);
        assertTrue(deadline.exists());
        assertFalse(deadline.isShared());
        assertEquals(1000, deadline.leftMillis());
        assertTrue(deadline.isShared());
        pass(300);
        assertEquals(700, deadline.leftMillis());
        assertEquals(TimeValue.timeValueMillis(700), deadline.left());
        pass(650);
        assertEquals(50, deadline.leftMillis());
    }

    /** After the end, hits are still fetched, and a call fails by its own timeout. */
    public void testAfterItsEnd() {
        Deadline deadline = in(1000);
        pass(990);
        assertEquals(TimeValue.timeValueMillis(50), deadline.left());
        assertEquals(10, deadline.leftMillis());
        pass(5000);
        assertEquals(TimeValue.timeValueMillis(50), deadline.left());
        assertEquals(1, deadline.leftMillis());
        Deadline shorter = in(20);
        pass(30);
        assertEquals(TimeValue.timeValueMillis(20), shorter.left());
    }

    public void testWithoutATimeout() {
        assertNull(Deadline.NONE.left());
        assertEquals(Long.MAX_VALUE, Deadline.NONE.leftMillis());
        Deadline none = new Deadline(SearchService.NO_TIMEOUT, clock::get);
        assertFalse(none.exists());
        pass(5000);
        assertEquals(SearchService.NO_TIMEOUT, none.left());
        assertEquals(Long.MAX_VALUE, none.leftMillis());
    }
}
