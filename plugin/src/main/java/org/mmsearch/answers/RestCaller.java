package org.mmsearch.answers;

import java.lang.StackWalker.StackFrame;
import java.util.Iterator;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Tells whether the request on this thread is the one that {@code _search}, {@code _msearch} or their templates by REST asked
 * for.
 *
 * <p>Nothing in a search request says where it comes from, and what REST leaves in the thread context is inherited by every
 * request below it. But REST hands its request on by a plain call, so its handler is on the stack, with as many executed
 * actions above it as that handler itself starts. Whoever lies between and goes on from another thread, or sends a request of
 * its own, gets everything: this answers yes only where it is certain.
 */
final class RestCaller {

    private static final String CLIENT = "org.opensearch.transport.client.node.NodeClient";
    private static final String EXECUTE = "executeLocally";
    /** How many actions lie between a handler and its search: a template's action starts the search. */
    private static final Map<String, Integer> HANDLERS = Map.of(
        "org.opensearch.rest.action.search.RestSearchAction",
        1,
        "org.opensearch.rest.action.search.RestMultiSearchAction",
        1,
        "org.opensearch.script.mustache.RestSearchTemplateAction",
        2,
        "org.opensearch.script.mustache.RestMultiSearchTemplateAction",
        2
    );
    private static final StackWalker WALKER = StackWalker.getInstance();

    private RestCaller() {}

    /** Asked by an action filter on the thread that it is called by. */
    static boolean isSearch() {
        return WALKER.walk(RestCaller::isSearch);
    }

    private static boolean isSearch(Stream<StackFrame> frames) {
        int executed = 0;
        for (Iterator<StackFrame> all = frames.iterator(); all.hasNext() && executed <= 2;) {
            StackFrame frame = all.next();
            if (frame.getClassName().equals(CLIENT)) {
                executed += frame.getMethodName().equals(EXECUTE) ? 1 : 0;
            } else if (executed > 0) {
                Integer expected = HANDLERS.get(frame.getClassName());
                if (expected != null) {
                    return expected == executed;
                }
            }
        }
        return false;
    }
}
